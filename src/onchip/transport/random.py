"""Transport of weights drawn by lot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from onchip.transport.base import Share

__all__ = ["Random"]


@dataclass(frozen=True)
class Random(Share):
    """Copies weights drawn at random without replacement, new ones at each event.

    No weight is compared. Draws come from torch's global generator.

    Args:
        fraction: share of the weights to copy at each event, in (0, 1]; at least one is copied.
        per_layer: whether each layer gets this share of its own weights, or all layers share one budget.
        shared: whether both ends draw the same numbers from one seed, so that no index is sent. Otherwise
            indices are booked (`onchip.transport.base.index_bits`).

    Raises:
        RequestError: a fraction out of range.

    Reference: Goupy et al. 2025 (arXiv 2505.13741), partial weight transport.
    """

    shared: bool = False

    def choose(self, feedback: Sequence[Tensor], weights: Sequence[Tensor], count: int, event: int) -> Tensor:
        total = sum(weight.numel() for weight in weights)
        return torch.randperm(total, device=weights[0].device)[:count]

    def announces(self) -> bool:
        return not self.shared

    def compares(self) -> bool:
        return False

    def draws(self) -> bool:
        return True
