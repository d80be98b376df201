"""Transport of the signs of the differences."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from onchip.transport.base import Transport, Transported, value_bits


@dataclass(frozen=True)
class Sign(Transport):
    """Moves every feedback weight by one step towards its weight: one bit per weight and one scale per layer.

        B += s sign(W - B),   s = mean |W - B|

    The next event corrects the errors of this one. An event lowers ||W - B||² of a layer of n weights by exactly n s².
    There is no third sign, so a difference of 0 counts as positive. Every weight is compared with its copy; no index is
    sent.

    Reference: ours, after sign compression with error feedback (Karimireddy et al. 2019, ICML).
    """

    def __call__(self, feedback: Sequence[Tensor], weights: Sequence[Tensor], event: int) -> list[Transported]:
        return [self._send(copy, weight) for copy, weight in zip(feedback, weights, strict=True)]

    def message_bits(self, weight: Tensor) -> int:
        return weight.numel() + value_bits(weight, 1)

    def _send(self, feedback: Tensor, weight: Tensor) -> Transported:
        difference = weight - feedback
        step = difference.abs().mean()
        feedback.add_(torch.where(difference >= 0, step, -step))
        size = weight.numel()
        return Transported(size + 1, self.message_bits(weight), compares=size, coded=size, writes=size)
