"""Scans over time and counts of spikes, without modules or autograd: what the engine spends its time in.

Each comes in plain torch; float32 on a CPU is done by compiled code where it can be built.
"""

from onchip.kernels.native import active, forced

__all__ = ["active", "forced"]
