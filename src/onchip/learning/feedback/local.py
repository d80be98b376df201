"""Feedback from local read-outs of the layers."""

from dataclasses import replace

from torch import Tensor

from onchip.learning.feedback.direct import MatrixFeedback


class LocalReadouts(MatrixFeedback):
    """A learned linear read-out without bias for each hidden layer, with its own error.

    Args:
        method: Name of the rule, for messages.
        grid: Side of the coarse grid of feature maps that it sees, at least 1; None for all pixels.

    Raises:
        RequestError: The side is out of range.
    """

    claims = replace(MatrixFeedback.claims, update_unlocked=True)

    stem = "readout_"
    local = True
    kind = "local"
    learned = True
    through = "learned weights"

    def __init__(self, method: str, grid: int | None = None) -> None:
        super().__init__(grid)
        self._method = method

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        return self.stored_matrix(self._method, index, units, error)


class FixedReadouts(MatrixFeedback):
    """A fixed random linear read-out without bias for each hidden layer, with its own error.

    Args:
        method: Name of the rule, for messages.
        concordant: Whether errors return through weights that have the signs of the read-out, but random sizes:
            its entries times numbers from N(1, 1/4), drawn once.
    """

    claims = replace(MatrixFeedback.claims, update_unlocked=True)

    stem = "readout_"
    local = True
    kind = "local"

    def __init__(self, method: str, *, concordant: bool) -> None:
        super().__init__()
        self._method = method
        self._concordant = concordant

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        return self.stored_matrix(self._method, index, units, error)

    def back(self, error: Tensor, index: int, units: int) -> Tensor:
        matrix = self.matrix(error, index, units)
        return matrix * self._sizes(error, index, units) if self._concordant else matrix

    def names(self, index: int) -> tuple[str, ...]:
        return (*super().names(index), *([f"{self.stem}{index}_sizes"] if self._concordant else []))

    def _sizes(self, error: Tensor, index: int, units: int) -> Tensor:
        def draw(sizes: Tensor) -> Tensor:
            return sizes.normal_(1.0, 0.5)

        return self.stored_matrix(self._method, index, units, error, suffix="_sizes", draw=draw)
