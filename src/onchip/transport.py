"""Weight transport: what of the forward weights is copied into the feedback weights at one event."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from onchip.errors import RequestError

__all__ = ["Full", "Top", "Transport"]


class Transport(ABC):
    """Copies some of W into B, in place."""

    @abstractmethod
    def __call__(self, feedback: Tensor, weight: Tensor) -> int:
        """Refreshes `feedback` from `weight` (same shape) and returns how many scalars were copied."""


@dataclass(frozen=True)
class Full(Transport):
    """Copies every weight."""

    def __call__(self, feedback: Tensor, weight: Tensor) -> int:
        feedback.copy_(weight)
        return weight.numel()


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

    def __call__(self, feedback: Tensor, weight: Tensor) -> int:
        count = max(1, round(self.fraction * weight.numel()))
        apart = (weight - feedback).abs_().reshape(-1)
        chosen = torch.topk(apart, count, sorted=False).indices
        # reshape(-1) of a feedback in channels_last would be a copy; put_ writes through any layout.
        feedback.put_(chosen, weight.take(chosen))
        return count
