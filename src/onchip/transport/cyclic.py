"""Transport of the weights in turn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from onchip._types import checked
from onchip.transport.partial import PartialTransport


@checked
@dataclass(frozen=True)
class Cyclic(PartialTransport):
    """Copies the next share of the weights in their order, and starts again at the end.

    Both ends count events, so no weight is compared and no index is sent.

    Args:
        fraction: Share of the weights to copy per event, in (0, 1]; at least one weight is copied.
        per_layer: Whether each layer gets this share of its own weights, or all layers share one budget.

    Raises:
        RequestError: the fraction is out of range.

    Reference: Goupy et al. 2025 (arXiv 2505.13741), partial weight transport.
    """

    sends_indices: ClassVar[bool] = False

    def choose(self, feedback: Sequence[Tensor], weights: Sequence[Tensor], count: int, event: int) -> Tensor:
        total = sum(weight.numel() for weight in weights)
        begin = event * count % total
        return torch.arange(begin, begin + count, device=weights[0].device).remainder_(total)
