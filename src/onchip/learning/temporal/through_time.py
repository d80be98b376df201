"""Backpropagation through time."""

from __future__ import annotations

from onchip.learning.temporal.base import Temporal

__all__ = ["ThroughTime"]


class ThroughTime(Temporal):
    """Errors propagate back through the neurons' states (BPTT).

    For neurons with spike times in closed form this is the exact derivative, without unrolling.
    """

    streams = False
    through_time = True
