"""Transport of randomly chosen weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from onchip._types import checked
from onchip.transport.partial import PartialTransport


@checked
@dataclass(frozen=True)
class Random(PartialTransport):
    """Copies weights drawn at random without replacement, other ones at each event.

    No weight is compared. The draws come from torch's global generator.

    Args:
        fraction: Share of the weights to copy per event, in (0, 1]; at least one weight is copied.
        per_layer: Whether each layer gets this share of its own weights, or all layers share one budget.
        shared: Whether both ends draw the same numbers from one seed, so that no index is sent. Otherwise the bits of
            the indices are counted (`onchip.transport.base.index_bits`).

    Raises:
        RequestError: the fraction is out of range.

    Reference: Goupy et al. 2025 (arXiv 2505.13741), partial weight transport.
    """

    draws: ClassVar[bool] = True

    shared: bool = False

    def choose(self, feedback: Sequence[Tensor], weights: Sequence[Tensor], count: int, event: int) -> Tensor:
        total = sum(weight.numel() for weight in weights)
        return torch.randperm(total, device=weights[0].device)[:count]

    def index_bits(self, count: int, total: int) -> int:
        return 0 if self.shared else super().index_bits(count, total)
