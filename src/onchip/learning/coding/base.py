"""What carries errors: real numbers, or spikes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

__all__ = ["ErrorCode"]


class ErrorCode(ABC):
    """How an error is represented on its way."""

    @property
    def streams(self) -> bool:
        """Whether the error of a step is carried without what came before it."""
        return True

    pointwise: ClassVar[bool] = False
    """Whether what is sent of one sample and time step depends on no other sample and no later time step."""

    @property
    def ternary(self) -> bool:
        """Whether errors are -1, 0 or 1 times one constant per layer."""
        return False

    @abstractmethod
    def carry(self, delta: Tensor, depth: int) -> Tensor:
        """The error at a drive as it is sent on, to the update and to the layer below.

        Args:
            delta: (K, B, features...), of a loss that is a mean over time steps and samples.
            depth: Synaptic layers between this one and the output; 0 for the last.
        """

    def unit(self, shape: torch.Size, depth: int) -> float | None:
        """The value of one error spike in a delta of this shape; None where errors are real numbers."""
        return None
