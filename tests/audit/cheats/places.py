"""Where a copy of the weights may wait, or what it may look like."""

from __future__ import annotations

import os
import random
import struct
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

from onchip.transport import Transported

from .base import Layered

STORE: dict[str, Any] = {}
"""A global variable."""


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
