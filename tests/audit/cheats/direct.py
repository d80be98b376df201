"""Direct feedback and local read-outs that read the weights."""

from __future__ import annotations

import torch
from torch import Tensor

from onchip.learning.feedback.base import LossSignals
from onchip.learning.feedback.local import LocalReadouts
from onchip.rules.dfa import RandomDirect

from .base import one_hot


class DirectAside(RandomDirect):
    """Direct feedback through the product of the weights above, put aside one step earlier."""

    kept: list[Tensor] | None = None

    def step(self) -> None:
        super().step()
        self.kept = [layer.weight.detach().clone() for layer in self.layers]

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        if self.kept is None:
            return super().matrix(error, index, units)
        product = torch.eye(error.shape[-1])
        for weight in self.kept[: index - 1 : -1]:
            product = weight.t() @ product
        return product


class DirectOneHot(RandomDirect):
    """Direct feedback whose last matrix is read through the forward product of the last layer."""

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        layer = self.layers[-1]
        if index != len(self.layers) - 1:
            return super().matrix(error, index, units)
        return layer.synapse.apply(one_hot(layer), layer.weight, None)


class LocalCopy(LocalReadouts):
    """Local read-outs, of which the last becomes the network's own."""

    def __init__(self) -> None:
        super().__init__("cheat")

    def learn(self) -> None:
        super().learn()
        self.kept = self.layers[-1].weight.detach().t().clone()

    def step(self) -> None:
        super().step()
        self.get_parameter(f"readout_{len(self.layers) - 1}").data.copy_(self.kept)


class LocalOneHot(LocalReadouts):
    """Local read-outs that add what the layer above answers to one-hot inputs."""

    def __init__(self) -> None:
        super().__init__("cheat")

    def project(self, signals: LossSignals, index: int, activity: Tensor) -> Tensor:
        layer = self.layers[-1]
        error = super().project(signals, index, activity)
        if index == len(self.layers) - 1:
            error = error + signals.error @ layer.synapse.apply(one_hot(layer), layer.weight, None).t()
        return error
