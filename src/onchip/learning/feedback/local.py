"""Feedback from local read-outs of the layers."""

from dataclasses import replace

from torch import Tensor

from onchip.learning.feedback.direct import MatrixFeedback


class LocalReadouts(MatrixFeedback):
    """A learned linear read-out without bias for each hidden layer, with its own error; `method` names the rule."""

    claims = replace(MatrixFeedback.claims, update_unlocked=True)

    stem = "readout_"
    local = True
    learned = True

    def __init__(self, method: str) -> None:
        super().__init__()
        self._method = method

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        return self.stored_matrix(self._method, index, units, error)
