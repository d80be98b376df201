"""The scans in Triton, for GPUs: one pass over time, with the neurons' state in registers.

Imported by `onchip.kernels.gpu` alone, and only where Triton is. A scan is as fast as memory is; bytes that it moves
a neuron and step, in units of a number's size (4 for float32, 2 for bfloat16 and float16), with a pool of side p:

    fire           reads the drive, writes potentials and spikes     2 + 1/p²; 1/p² with one held drive
    adjoint        reads potentials and errors, writes errors        2 + 1/p²
    local          as adjoint                                        2 + 1/p²
    trace          reads the signal, writes the trace                2
    weighted_sum   reads the series                                  1
    sums           reads the errors of a held drive                  1/p²
"""
