"""Backpropagation through time."""

from __future__ import annotations

from onchip.learning.temporal.base import Temporal

__all__ = ["ThroughTime"]


class ThroughTime(Temporal):
    """All of the past counts: errors travel back through the neurons' states (BPTT).

    For neurons with spike times in closed form this is their exact derivative; there is no time to unroll.
    """

    streams = False
    through_time = True
