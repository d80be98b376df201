"""Honest feedback that can read and copy the forward weights, for cheats to build on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from onchip import nn
from onchip.certificates import Claims
from onchip.learning.feedback.base import Feedback
from onchip.learning.feedback.stored import RandomFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.online import Online
from onchip.nn.graph import SynapticLayer

LOCAL = Claims(separate_feedback=True, no_weight_transport=True)


class Layered(RandomFeedback):
    """Random feedback from layer to layer; honest, until a subclass is not."""

    steps = 0
    rule: Rule
    model: torch.nn.Module

    def weights(self) -> list[Tensor]:
        return [layer.weight.detach().clone() for layer in self.layers]

    def take(self, weights: list[Tensor]) -> None:
        for index in range(1, len(self.layers)):
            self.weight(index).copy_(weights[index])

    def step(self) -> None:
        self.steps += 1


def one_hot(layer: SynapticLayer) -> Tensor:
    return torch.eye(layer.weight[0].numel())


def making(feedback: Callable[[], Feedback], claims: Claims = LOCAL) -> Callable[[nn.Sequential], Rule]:
    """A rule with this feedback, which knows its rule and its network."""

    def make(model: nn.Sequential) -> Rule:
        part = feedback()
        object.__setattr__(part, "model", model)
        made = Rule("cheat", model, feedback=part, temporal=Online(), claims=claims)
        object.__setattr__(part, "rule", made)
        return made

    return make
