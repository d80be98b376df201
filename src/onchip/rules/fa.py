"""Feedback alignment."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from onchip.credit import Layered, Observer, Temporal
from onchip.parts import ThroughTime
from onchip.plan import Stage
from onchip.rule import Rule

__all__ = ["fa"]


def fa(model: nn.Module, *, temporal: Temporal | None = None) -> Rule:
    """Feedback alignment: errors come down through fixed random weights.

        g = B^T δ,   B drawn once, of W's shape and with W's standard deviation

    Limit: equal to `bp` if B were W.
    Cost: no weight is ever transported; feedback weights take as much memory as the forward ones.

    Args:
        model: a network of `onchip.nn`.
        temporal: what of the past counts; `ThroughTime()` by default, or `Online()`.

    Reference: Lillicrap et al. 2016 (Nature Communications).
    """
    return Rule("fa", model, feedback=RandomFeedback(), temporal=temporal or ThroughTime())


class RandomFeedback(Layered):
    """Fixed Gaussian feedback weights, with the spread of the forward weights that they stand in for."""

    def attach(self, stages: Sequence[Stage]) -> None:
        for index, stage in enumerate(stages[1:], start=1):
            spread = stage.weight.square().mean().sqrt().item()
            random = torch.randn_like(stage.weight, requires_grad=False) * spread
            self.register_buffer(f"feedback_{index}", random)

    def tell_initial(self, observer: Observer) -> None:
        """No weight was copied."""

    def weight(self, index: int) -> Tensor:
        return self.get_buffer(f"feedback_{index}")

    def step(self) -> None:
        """Random feedback stays as it is."""
