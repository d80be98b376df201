"""Feedback from read-outs that the layers have of their own."""

from __future__ import annotations

from torch import Tensor

from onchip.learning.feedback.direct import UnprobedFeedback

__all__ = ["LocalReadouts"]


class LocalReadouts(UnprobedFeedback):
    """A linear read-out without bias for each hidden layer, which learns, and sends its own error back.

    Args:
        method: the rule's name, for messages.
    """

    stem = "readout_"
    local = True
    learnt = True

    def __init__(self, method: str) -> None:
        super().__init__()
        self._method = method

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        return self.grown(self._method, index, units, error.shape[-1])
