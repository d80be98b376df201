"""The scans in Triton, for GPUs: one pass over time, with the neurons' state in registers.

Imported by `onchip.kernels.gpu` alone, and only where Triton is installed. A scan is as fast as memory is. Numbers that
it moves per neuron and time step (of 4 bytes in float32, 2 in bfloat16 and float16), with a pool of side p:

    forward        reads the drive, writes potentials and spikes     2 + 1/p²; 1/p² with a static drive
    backward       reads potentials and errors, writes errors        2 + 1/p²
    sums           reads the errors of a static drive                1/p²
    trace          reads the signal, writes the trace                2
    weighted_sum   reads the series                                  1
"""

from onchip.kernels.fused.errors import backward
from onchip.kernels.fused.spikes import forward
from onchip.kernels.fused.static_drive import sums
from onchip.kernels.fused.traces import trace, weighted_sum

__all__ = ["backward", "forward", "sums", "trace", "weighted_sum"]
