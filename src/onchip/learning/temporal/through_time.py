"""Backpropagation through time."""

from onchip.learning.temporal.base import Temporal


class ThroughTime(Temporal):
    """Errors propagate back through the neurons' states (BPTT).

    For neurons with spike times in closed form this is the exact derivative, without unrolling.
    """

    streams = False
    through_time = True
