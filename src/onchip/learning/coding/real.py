"""Errors as real numbers."""

from typing import ClassVar

from torch import Tensor

from onchip.learning.coding.base import ErrorCode


class RealErrors(ErrorCode):
    """Errors are real numbers."""

    carries = "real numbers"
    exact = True
    pointwise = True

    command: ClassVar[str] = "real"

    def carry(self, delta: Tensor, depth: int) -> Tensor:
        return delta
