"""Errors at some time steps only."""

import torch
from torch import Tensor

from onchip.errors import require
from onchip.learning.coding.base import ErrorCode


class RandomSteps(ErrorCode):
    """Errors are real numbers at `count` random time steps of a sequence, and zero at the others.

    For rules without errors through time, where a layer below gets none either at those other steps.

    Args:
        count: Number of time steps with an error, at least 1; all steps of a sequence that has no more.

    Raises:
        RequestError: The number is out of range.

    Reference: Meng et al. 2023 (SLTT-K, ICCV, arXiv 2302.14311).
    """

    carries = "real numbers at random time steps"
    pointwise = True

    def __init__(self, count: int) -> None:
        require(count >= 1, self, "count", count, "at least 1 time step with an error")
        self._count = count

    @property
    def streams(self) -> bool:
        return False

    def carry(self, delta: Tensor, depth: int) -> Tensor:
        if depth or len(delta) <= self._count:
            return delta
        with self.ranks.alike():  # samples have their errors at the same steps
            kept = torch.randperm(len(delta))[: self._count].to(delta.device)
        return torch.zeros_like(delta).index_copy_(0, kept, delta[kept])
