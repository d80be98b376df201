"""Reads of the weights through forward products."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from onchip.learning.context import RuleContext
from onchip.learning.layer_call import LayerCall
from onchip.learning.temporal.online import Online
from onchip.nn.graph import run
from onchip.nn.signals import Signal, tensor_of
from onchip.nn.synapses.product import SynapticProduct
from onchip.rules.dfa import RandomDirect

from .base import Layered, one_hot


class OneHotProduct(Layered):
    """Reads the weights through the forward product of the synapses."""

    def read(self, index: int) -> Tensor:
        layer = self.layers[index]
        drive = layer.synapse.apply(one_hot(layer), layer.weight, None)
        return drive.t()

    def step(self) -> None:
        for index in range(1, len(self.layers)):
            self.weight(index).copy_(self.read(index))


class OneHotInForward(OneHotProduct):
    """The same, from a hook in the middle of the network's own forward pass."""

    def fired(self, index: int, activity: Tensor, probability: Tensor | None) -> None:
        if index == 0:
            self.weight(1).copy_(self.read(1))

    def step(self) -> None:
        pass


class OneHotOnTheBill(OneHotProduct):
    """A probe, it says; but what it sends is no noise, and it gets each weight on its own."""

    def read(self, index: int) -> Tensor:
        response = super().read(index)
        layer, probe = self.layers[index], one_hot(self.layers[index])
        shape = torch.Size((len(probe), len(layer.weight)))
        self.report_product(index, "probe", SynapticProduct(layer.synapse, probe.shape, shape, pre=probe))
        return response


class FixedProbe(OneHotProduct):
    """A probe on the bill that is the same each time, so that its responses can be solved for the weights."""

    def read(self, index: int) -> Tensor:
        layer = self.layers[index]
        probe = torch.ones(len(one_hot(layer)), len(one_hot(layer))).triu()
        drive = layer.synapse.apply(probe, layer.weight, None)
        self.report_product(index, "probe", SynapticProduct(layer.synapse, probe.shape, drive.shape, pre=probe))
        return torch.linalg.solve(probe, drive).t()


class ThroughDrive(OneHotProduct):
    """Through the layer's own function."""

    def read(self, index: int) -> Tensor:
        layer = self.layers[index]
        drive = layer.drive(one_hot(layer).unsqueeze(0), lambda x: layer.synapse.apply(x, layer.weight, None))
        return tensor_of(drive)[0].t()


class ThroughLayerCall(OneHotProduct):
    """Through the engine's call of a layer, whose drive the hook `at_drive` sees."""

    def at_drive(self, index: int, drive: Signal) -> Signal:
        self.seen = tensor_of(drive).clone()
        return drive

    def read(self, index: int) -> Tensor:
        layer = self.layers[index]
        context = RuleContext(self, Online(), self.rule._engine.context.code, self.layers[-1].neuron)
        LayerCall(layer, index, 1, context, None)(one_hot(layer).unsqueeze(0))
        drive = self.seen[0]
        return (drive if layer.bias is None else drive - layer.bias).t()


class ThroughNetwork(ThroughLayerCall):
    """Through a second forward pass of the rule, of which it reads what the first layer's neurons are driven by."""

    def read(self, index: int) -> Tensor:
        if index > 1:
            return self.weight(index)
        graph = self.rule._engine.graph

        def at_layer(at: int, layer: Any, signal: Any) -> Tensor:
            drive = layer.drive(signal, lambda x: layer.synapse.apply(x, layer.weight, layer.bias))
            self.seen = tensor_of(drive)
            return self.seen.clamp(0, 1)

        run(graph, torch.rand(1, 8, 6), at_layer, lambda at, signal: signal)
        return self.weight(1) + self.seen.mean()


class ThroughRule(ThroughLayerCall):
    """Calls the forward pass of the rule itself, in the middle of a step."""

    def step(self) -> None:
        with torch.no_grad():
            output = self.rule.forward(torch.eye(6).unsqueeze(0))
        self.weight(1).add_(output.mean())


class ThroughInput(RandomDirect):
    """Sends one-hot rows through the network's own forward product, and puts the drive right afterwards."""

    copy: Tensor | None = None

    def receive(self, index: int, activity: Tensor) -> Tensor:
        if index != 1:
            return activity
        self.activity = activity
        changed = activity.clone()
        changed[0, 0] = torch.eye(activity.shape[-1])[0]
        return changed

    def at_drive(self, index: int, drive: Signal) -> Signal:
        if index == 1:
            self.copy = tensor_of(drive)[0, 0].clone()
        return drive
