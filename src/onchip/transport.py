"""Weight transport: what of the forward weights is copied into the feedback weights at one event."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from onchip.errors import RequestError

__all__ = ["Full", "Top", "Transport", "Transported"]


@dataclass(frozen=True)
class Transported:
    """What one copy of weights into feedback moved.

    Args:
        scalars: weights copied.
        value_bits: bits of the values that were sent.
        index_bits: bits that say which weights they are, where both ends do not know it already.
        compares: weights that were compared with their copy to choose them.
    """

    scalars: int
    value_bits: int
    index_bits: int = 0
    compares: int = 0

    @classmethod
    def whole(cls, weight: Tensor) -> Transported:
        """A full copy, at the weights' own precision."""
        return cls(weight.numel(), weight.numel() * weight.element_size() * 8)


class Transport(ABC):
    """Copies some of W into B, in place."""

    @abstractmethod
    def __call__(self, feedback: Tensor, weight: Tensor) -> Transported:
        """Refreshes `feedback` from `weight` (same shape) and says what that moved."""


@dataclass(frozen=True)
class Full(Transport):
    """Copies every weight."""

    def __call__(self, feedback: Tensor, weight: Tensor) -> Transported:
        feedback.copy_(weight)
        return Transported.whole(weight)


@dataclass(frozen=True)
class Top(Transport):
    """Copies the weights that differ most from their copy, a fixed share of each layer.

    Args:
        fraction: share of a layer's weights to copy, in (0, 1]; at least one weight is copied.

    Raises:
        RequestError: a fraction out of range.

    Reference: Goupy et al. 2025 (arXiv 2505.13741), partial weight transport.
    """

    fraction: float = 0.1

    def __post_init__(self) -> None:
        if not 0.0 < self.fraction <= 1.0:
            raise RequestError(f"Top got fraction={self.fraction}; expected a share in (0, 1]")

    def __call__(self, feedback: Tensor, weight: Tensor) -> Transported:
        count = max(1, round(self.fraction * weight.numel()))
        apart = (weight - feedback).abs_().reshape(-1)
        chosen = torch.topk(apart, count, sorted=False).indices
        # reshape(-1) of a feedback in channels_last would be a copy; put_ writes through any layout.
        feedback.put_(chosen, weight.take(chosen))
        bits = count * weight.element_size() * 8
        index_bits = count * math.ceil(math.log2(weight.numel())) if count < weight.numel() else 0
        return Transported(count, bits, index_bits, compares=weight.numel())
