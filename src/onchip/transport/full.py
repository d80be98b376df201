"""Transport of every weight."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from onchip.transport.base import Transport, Transported, value_bits


@dataclass(frozen=True)
class Full(Transport):
    """Copies every weight: B = W.

    Reference: Goupy et al. 2025 (arXiv 2505.13741), full weight transport.
    """

    def __call__(self, feedback: Sequence[Tensor], weights: Sequence[Tensor], event: int) -> list[Transported]:
        for copy, weight in zip(feedback, weights, strict=True):
            copy.copy_(weight)
        return [Transported.whole(weight) for weight in weights]

    def message_bits(self, weight: Tensor) -> int:
        return value_bits(weight, weight.numel())
