"""How a rule would train on a chip, and what the network's synapses receive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from onchip.errors import require
from onchip.learning.observers import Observer, ProductKind
from onchip.learning.rule import Rule
from onchip.nn.signals import Signal
from onchip.nn.synapses.product import SynapticProduct

__all__ = ["Inputs", "Received", "Setting", "inputs_of"]

Received = Literal["spikes", "numbers", "signed numbers"]
"""What arrives at a synapse: 0 and one other value, real numbers of at least 0, or any real numbers."""


@dataclass(frozen=True)
class Setting:
    """How a rule would train on a chip.

    Args:
        steps: Time steps T of a sample, without the closing one.
        lr: Learning rate.
        optimizer: Name of the optimizer.
        momentum: Of the optimizer.
        batch_size: Samples of one update.
        update: Whether weights change at the end of each `sequence`, or at each time `step`.

    Raises:
        RequestError: A number is out of range.
    """

    steps: int = 4
    lr: float = 2.0**-7
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    momentum: float = 0.0
    batch_size: int = 1
    update: Literal["sequence", "step"] = "sequence"

    def __post_init__(self) -> None:
        require(self.steps >= 1, self, "steps", self.steps, "at least 1 time step")
        require(0.0 < self.lr <= 1e6, self, "lr", self.lr, "a learning rate above 0, 1e6 at most")
        require(0.0 <= self.momentum < 1.0, self, "momentum", self.momentum, "at least 0 and below 1")
        require(self.batch_size >= 1, self, "batch_size", self.batch_size, "at least 1 sample")


@dataclass(frozen=True)
class Inputs:
    """What the layers receive, and how many neurons they have.

    Args:
        received: What arrives at the synapses of each layer; spikes where it is left out.
        neurons: Neurons of each layer; where it is left out, as many as the weights have rows.
    """

    received: Mapping[str, Received] = field(default_factory=dict)
    neurons: Mapping[str, int] = field(default_factory=dict)


def inputs_of(model: nn.Module, rule: Rule, signal: Signal) -> Inputs:
    """What the layers receive for a signal, seen in a forward pass without noise.

    Args:
        model: The network.
        rule: The rule that trains it.
        signal: A few samples.

    Raises:
        RequestError: The network cannot take the signal.
    """
    seen = _Seen()
    rule.observe(seen)
    was_training = model.training
    model.eval()
    try:
        rule.forward(signal)
    finally:
        model.train(was_training)
    return Inputs(seen.received, {name: max(sizes) for name, sizes in seen.sizes.items()})


class _Seen(Observer):
    """Looks at the inputs of forward products."""

    def __init__(self) -> None:
        self.received: dict[str, Received] = {}
        self.sizes: dict[str, list[int]] = {}

    def product(self, layer: str, kind: ProductKind, product: SynapticProduct) -> None:
        if kind != "forward" or product.pre is None:
            return
        values = product.pre.unique()
        others = values[values != 0]
        now: Received = "numbers"
        if bool((values < 0).any()):
            now = "signed numbers"
        elif len(others) <= 1 and bool((others == 1).all()):
            now = "spikes"
        order: tuple[Received, ...] = ("spikes", "numbers", "signed numbers")
        self.received[layer] = max(now, self.received.get(layer, now), key=order.index)
        self.sizes.setdefault(layer, []).append(product.outputs[1:].numel())

    def fired(self, layer: str, updates: int, spikes: Callable[[], int], states: int = 1) -> None:
        return
