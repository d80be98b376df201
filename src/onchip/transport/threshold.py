"""Transport of the weights that have moved far enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from onchip.errors import RequestError
from onchip.transport.base import Transport, Transported, copy_chosen, index_bits, value_bits

__all__ = ["Threshold"]


@dataclass(frozen=True)
class Threshold(Transport):
    """Copies the weights that differ from their copy by more than a threshold, however many they are.

        B_ij = W_ij where |W_ij - B_ij| > θ

    Every weight is compared with its copy, and indices are sent (`onchip.transport.base.index_bits`).
    An absolute θ must fit the learning rate: under Adam a weight moves by some 20 rates in 100 steps.

    Args:
        threshold: θ > 0, in units of the weights.
        relative: take θ in units of the mean |W - B| of the layer at that event instead, which follows the
            learning rate by itself; it costs a reading of all differences before they are compared.

    Raises:
        RequestError: a threshold that is not a positive number.

    Reference: Goupy et al. 2025 (arXiv 2505.13741), partial weight transport.
    """

    threshold: float
    relative: bool = False

    def __post_init__(self) -> None:
        if not (self.threshold > 0 and math.isfinite(self.threshold)):
            raise RequestError(
                f"Threshold got threshold={self.threshold}; expected a positive number. "
                "To copy every weight use Full(), to copy none the rule `never`"
            )

    def __call__(self, feedback: Sequence[Tensor], weights: Sequence[Tensor], event: int) -> list[Transported]:
        return [self._copy(copy, weight) for copy, weight in zip(feedback, weights, strict=True)]

    def message_bits(self, weight: Tensor) -> None:
        """As many weights are sent as have moved far enough."""

    def _copy(self, feedback: Tensor, weight: Tensor) -> Transported:
        apart = (weight - feedback).abs_().reshape(-1)
        least = self.threshold * apart.mean() if self.relative else self.threshold
        chosen = torch.nonzero(apart > least).flatten()
        copy_chosen(feedback, weight, chosen)
        count, size = chosen.numel(), weight.numel()
        return Transported(count, value_bits(weight, count), index_bits(count, size), compares=size)
