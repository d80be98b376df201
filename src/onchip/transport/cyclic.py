"""Transport of the weights in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from onchip.transport.base import Share

__all__ = ["Cyclic"]


@dataclass(frozen=True)
class Cyclic(Share):
    """Copies the next share of the weights in their order, and begins again at the end.

    Both ends count events, so nothing is compared and no index is sent. The position follows from the
    event's number; there is no state to keep.

    Args:
        fraction: share of the weights to copy at each event, in (0, 1]; at least one is copied.
        per_layer: whether each layer gets this share of its own weights, or all layers share one budget.

    Raises:
        RequestError: a fraction out of range.

    Reference: Goupy et al. 2025 (arXiv 2505.13741), partial weight transport.
    """

    def choose(self, feedback: Sequence[Tensor], weights: Sequence[Tensor], count: int, event: int) -> Tensor:
        total = sum(weight.numel() for weight in weights)
        begin = event * count % total
        return torch.arange(begin, begin + count, device=weights[0].device).remainder_(total)

    def announces(self) -> bool:
        return False

    def compares(self) -> bool:
        return False
