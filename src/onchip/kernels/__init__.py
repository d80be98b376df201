"""Scans over time and counts of spikes, without modules or autograd: what the engine spends its time in.

Each comes in plain torch; float32 on a CPU is done by compiled code where it can be built, and scans on a GPU by
Triton where it is installed.
"""

from onchip.kernels.gpu import active
from onchip.kernels.native import forced

__all__ = ["active", "forced"]
