"""Transport of the weights that have moved furthest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from onchip.transport.base import Share

__all__ = ["Top"]


@dataclass(frozen=True)
class Top(Share):
    """Copies the weights that differ most from their copy, a fixed share of them.

    Every weight is compared with its copy, and indices are sent (`onchip.transport.base.index_bits`).

    Args:
        fraction: share of the weights to copy at each event, in (0, 1]; at least one is copied.
        per_layer: whether each layer gets this share of its own weights, or all layers share one budget.

    Raises:
        RequestError: a fraction out of range.

    Reference: Goupy et al. 2025 (arXiv 2505.13741), partial weight transport.
    """

    def choose(self, feedback: Sequence[Tensor], weights: Sequence[Tensor], count: int, event: int) -> Tensor:
        apart = [(weight - copy).abs_().reshape(-1) for copy, weight in zip(feedback, weights, strict=True)]
        return torch.topk(apart[0] if len(apart) == 1 else torch.cat(apart), count, sorted=False).indices

    def announces(self) -> bool:
        return True

    def compares(self) -> bool:
        return True

    def sorts(self) -> bool:
        return True
