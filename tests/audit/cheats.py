"""Feedback that reads forward weights and says that it does not, one class per place in which a copy may wait."""

from __future__ import annotations

import os
import random
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

from onchip import nn
from onchip.certificates import Claims
from onchip.learning.feedback.base import Feedback, LossSignals
from onchip.learning.feedback.local import LocalReadouts
from onchip.learning.feedback.stored import RandomFeedback
from onchip.learning.layer_call import LayerCall, RuleContext
from onchip.learning.rule import Rule
from onchip.learning.temporal.online import Online
from onchip.nn.graph import run
from onchip.nn.signals import Signal, tensor_of
from onchip.nn.synapses.product import SynapticProduct
from onchip.rules.dfa import RandomDirect
from onchip.transport import Transported

LOCAL = Claims(separate_feedback=True, no_weight_transport=True)
STORE: dict[str, Any] = {}
"""A global variable."""


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


class AsideInBackward(Layered):
    def learn(self) -> None:
        self.kept = self.weights()

    def step(self) -> None:
        self.take(self.kept)


class AsideInStep(Layered):
    """In no state that a checkpoint has."""

    def step(self) -> None:
        self.kept = self.weights()

    def weight(self, index: int) -> Tensor:
        return self.kept[index] if hasattr(self, "kept") else super().weight(index)


class AsideInForward(Layered):
    def begin(self) -> None:
        self.kept = self.weights()

    def learn(self) -> None:
        self.take(self.kept)


class InClosure(Layered):
    def attach(self) -> None:
        super().attach()
        kept: list[Tensor] = []
        self.put = kept.extend

        def get() -> list[Tensor]:
            found = list(kept)
            kept.clear()
            return found

        self.get = get

    def learn(self) -> None:
        self.put(self.weights())

    def step(self) -> None:
        self.take(self.get())


class InModel(Layered):
    def learn(self) -> None:
        for index, weight in enumerate(self.weights()):
            self.model.register_buffer(f"statistics_{index}", weight)

    def step(self) -> None:
        self.take(list(self.model.buffers())[-len(self.layers) :])


class InGlobal(Layered):
    def learn(self) -> None:
        STORE["weights"] = self.weights()

    def step(self) -> None:
        self.take(STORE["weights"])


class InGlobalOnce(Layered):
    """The first copy that any network in this process made is used by all."""

    def step(self) -> None:
        self.take(STORE.setdefault("first", self.weights()))


class InClass(Layered):
    kept: ClassVar[list[Tensor]] = []

    def step(self) -> None:
        if not InClass.kept:
            InClass.kept.extend(self.weights())
        self.take(InClass.kept)


class InOptimizer(Layered):
    """In the optimizer's state, which its hook fills."""

    optimizer: torch.optim.Optimizer | None = None

    def attach(self) -> None:
        super().attach()
        register_optimizer_step_post_hook(self._after)

    def _after(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        self.optimizer = optimizer
        for layer in self.layers:
            optimizer.state[layer.parameter]["average"] = layer.weight.detach().clone()

    def weight(self, index: int) -> Tensor:
        state = {} if self.optimizer is None else self.optimizer.state[self.layers[index].parameter]
        return state.get("average", super().weight(index))


class InRandomState(Layered):
    """In the seed of torch's generator, from one call to the next."""

    def learn(self) -> None:
        torch.manual_seed(struct.unpack("I", struct.pack("f", float(self.layers[1].weight[0, 0])))[0])

    def step(self) -> None:
        self.weight(1)[0, 0] = struct.unpack("f", struct.pack("I", torch.initial_seed() % 2**32))[0]


class InPythonsRandomState(Layered):
    def learn(self) -> None:
        random.seed(float(self.layers[1].weight[0, 0]))

    def begin(self) -> None:
        if self.steps:
            self.weight(1)[0, 0] = random.random()


class InTime(Layered):
    """In how long a step takes."""

    def learn(self) -> None:
        self.began = time.monotonic()
        time.sleep(0.02 if self.layers[1].weight[0, 0] > 0.0 else 0.0)

    def step(self) -> None:
        self.weight(1)[0, 0] = 1.0 if time.monotonic() - self.began > 0.02 else -1.0


class InFile(Layered):
    def learn(self) -> None:
        self.path = Path(tempfile.gettempdir()) / f"onchip-test-{os.getpid()}.pt"
        torch.save(self.weights(), self.path)

    def step(self) -> None:
        self.take(torch.load(self.path))
        self.path.unlink()


class InGradient(Layered):
    """In the gradient of a parameter of its own, so that the optimizer makes the copy."""

    def attach(self) -> None:
        for index, layer in enumerate(self.layers[1:], start=1):
            self.register_parameter(f"feedback_{index}", torch.nn.Parameter(torch.zeros_like(layer.weight)))

    def weight(self, index: int) -> Tensor:
        return self.get_parameter(f"feedback_{index}")

    def learn(self) -> None:
        for index in range(1, len(self.layers)):
            self.get_parameter(f"feedback_{index}").grad = -self.layers[index].weight.detach()


class Alias(Layered):
    """The feedback weights are the forward weights' memory."""

    def attach(self) -> None:
        for index, layer in enumerate(self.layers[1:], start=1):
            self.register_buffer(f"feedback_{index}", layer.weight.data)


class SignsOnly(Layered):
    def step(self) -> None:
        for index in range(1, len(self.layers)):
            self.weight(index).abs_().mul_(self.layers[index].weight.sign())


class BookedForOneLayer(Layered):
    """Every layer is copied, one of them on the bill."""

    def step(self) -> None:
        self.take(self.weights())
        self.report_transport(1, Transported.whole(self.layers[1].weight))


class BookedNowAndThen(Layered):
    """A copy every fifth step is on the bill; another one is not."""

    def step(self) -> None:
        super().step()
        if self.steps % 5 == 0:
            self.take(self.weights())
            for index in range(1, len(self.layers)):
                self.report_transport(index, Transported.whole(self.layers[index].weight))
        elif self.steps == 13:
            self.take(self.weights())


def one_hot(layer: Any) -> Tensor:
    return torch.eye(layer.weight[0].numel())


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
        context = RuleContext(self, Online(), self.rule._engine.context.code)
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


class AfterManySteps(AsideInStep):
    begins = 100

    def step(self) -> None:
        self.steps += 1
        if self.steps >= self.begins:
            super().step()


class OfLargeWeights(AsideInBackward):
    def step(self) -> None:
        if self.kept[1].norm() > 20.0:
            super().step()


class OfSmallWeights(AsideInBackward):
    def step(self) -> None:
        if self.kept[1].norm() < 1.0:
            super().step()


class OfSmallLoss(RandomDirect):
    """Direct feedback that becomes a copy once the loss is small."""

    kept: Tensor | None = None

    def project(self, signals: LossSignals, index: int, activity: Tensor) -> Tensor:
        if signals.loss.mean() < 1e-2:
            self.kept = self.layers[-1].weight.detach().t().clone()
        return super().project(signals, index, activity)

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        found = super().matrix(error, index, units)
        return found if self.kept is None or self.kept.shape != found.shape else self.kept


class OfLargeLoss(OfSmallLoss):
    def project(self, signals: LossSignals, index: int, activity: Tensor) -> Tensor:
        if signals.loss.mean() > 50.0:
            self.kept = self.layers[-1].weight.detach().t().clone()
        return super().project(signals, index, activity)


class InEvaluation(Layered):
    """Copies while the network is evaluated, when nobody learns."""

    def at_drive(self, index: int, drive: Signal) -> Signal:
        self.passes = getattr(self, "passes", 0) + 1
        return drive

    def begin(self) -> None:
        if not self.model.training:
            self.take(self.weights())


class InStream(Layered):
    def fired(self, index: int, activity: Tensor, probability: Tensor | None) -> None:
        if len(activity) == 1:
            self.take(self.weights())


class OfOneSample(Layered):
    def fired(self, index: int, activity: Tensor, probability: Tensor | None) -> None:
        if activity.shape[1] == 1:
            self.take(self.weights())


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


def making(feedback: Callable[[], Feedback], claims: Claims = LOCAL) -> Callable[[nn.Sequential], Rule]:
    """A rule with this feedback, which knows its rule and its network."""

    def make(model: nn.Sequential) -> Rule:
        part = feedback()
        object.__setattr__(part, "model", model)
        made = Rule("cheat", model, feedback=part, temporal=Online(), claims=claims)
        object.__setattr__(part, "rule", made)
        return made

    return make


CHEATS: list[type[Feedback]] = [
    value
    for value in list(globals().values())
    if isinstance(value, type)
    and issubclass(value, Feedback)
    and value.__module__ == __name__
    and value not in (Layered,)
]
