"""Representation of errors: real numbers or spikes."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from onchip.learning.ranks import ALONE, Ranks


class ErrorCode(ABC):
    """Representation of an error between layers."""

    @property
    def streams(self) -> bool:
        """Whether the error of a time step is represented without those of earlier steps."""
        return True

    carries: ClassVar[str] = "another representation"
    """What represents an error, in words."""

    exact: ClassVar[bool] = False
    """Whether errors are carried as they are."""

    ranks: Ranks = ALONE
    """The processes that share each batch; set by the rule."""

    pointwise: ClassVar[bool] = False
    """Whether what is sent of one sample and time step depends on no other sample and no later time step."""

    @property
    def ternary(self) -> bool:
        """Whether errors are -1, 0 or 1 times one constant per layer."""
        return False

    def mean_over(self, present: Tensor | None, share: float = 1.0) -> None:  # noqa: B027  # only codes with a unit
        """Called before each backward pass.

        Args:
            present: The steps (T, B) of this pass over which the loss is a mean; None for all.
            share: Share of these in the mean of the loss, which may be over more, as with one chunk of a batch.
        """

    @abstractmethod
    def carry(self, delta: Tensor, depth: int) -> Tensor:
        """The error at a drive as the update and the layer below receive it.

        Args:
            delta: Error (K, B, features...) of a loss that is a mean over time steps and samples, or over those of
                `mean_over`.
            depth: Number of synaptic layers between this one and the output; 0 for the last.
        """

    def unit(self, shape: torch.Size, depth: int) -> float | None:
        """The value of one error spike in a delta of this shape; None where errors are real numbers."""
        return None
