"""Transport of the weights that differ most from their copy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from onchip._types import checked
from onchip.transport.partial import PartialTransport


@checked
@dataclass(frozen=True)
class Top(PartialTransport):
    """Copies the weights that differ most from their copy, a fixed share of them.

    Every weight is compared with its copy, and indices are sent (`onchip.transport.base.index_bits`).

    Args:
        fraction: Share of the weights to copy per event, in (0, 1]; at least one weight is copied.
        per_layer: Whether each layer gets this share of its own weights, or all layers share one budget.

    Raises:
        RequestError: the fraction is out of range.

    Reference: Goupy et al. 2025 (arXiv 2505.13741), partial weight transport.
    """

    compares: ClassVar[bool] = True
    sorts: ClassVar[bool] = True

    def choose(self, feedback: Sequence[Tensor], weights: Sequence[Tensor], count: int, event: int) -> Tensor:
        differences = [(weight - copy).abs_().reshape(-1) for copy, weight in zip(feedback, weights, strict=True)]
        joined = differences[0] if len(differences) == 1 else torch.cat(differences)
        return torch.topk(joined, count, sorted=False).indices
