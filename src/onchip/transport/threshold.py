"""Transport of the weights that differ from their copy by more than a threshold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from onchip._types import checked
from onchip.errors import require
from onchip.transport.base import Transport, Transported, copy_chosen, index_bits, value_bits


@checked
@dataclass(frozen=True)
class Threshold(Transport):
    """Copies the weights that differ from their copy by more than a threshold.

        B_ij = W_ij  where  |W_ij - B_ij| > θ

    Every weight is compared with its copy, and indices are sent (`onchip.transport.base.index_bits`).
    An absolute θ must fit the learning rate: under Adam a weight moves by about 20 learning rates in 100 steps.

    Args:
        threshold: Threshold θ, above 0, in units of the weights.
        relative: Whether θ is in units of the layer's mean |W - B| at that event instead, which adapts to the learning
            rate; all differences are then read once more, before they are compared.

    Raises:
        RequestError: the threshold is not a positive number.

    Reference: Goupy et al. 2025 (arXiv 2505.13741), partial weight transport.
    """

    threshold: float
    relative: bool = False

    def __post_init__(self) -> None:
        expected = "a positive number. To copy every weight use Full(), to copy none the rule `never`"
        require(self.threshold > 0 and math.isfinite(self.threshold), self, "threshold", self.threshold, expected)

    def __call__(self, feedback: Sequence[Tensor], weights: Sequence[Tensor], event: int) -> list[Transported]:
        return [self._copy(copy, weight) for copy, weight in zip(feedback, weights, strict=True)]

    def message_bits(self, weight: Tensor) -> None:
        """The number of weights that exceed the threshold is not known in advance."""

    def _copy(self, feedback: Tensor, weight: Tensor) -> Transported:
        differences = (weight - feedback).abs_().reshape(-1)
        least = self.threshold * differences.mean() if self.relative else self.threshold
        chosen = torch.nonzero(differences > least).flatten()
        copy_chosen(feedback, weight, chosen)
        count, size = chosen.numel(), weight.numel()
        return Transported(count, value_bits(weight, count), index_bits(count, size), compares=size)
