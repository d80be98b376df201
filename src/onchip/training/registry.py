"""Names on the command line -> rules, networks, neurons, devices, encoders: whatever the packages export."""

from __future__ import annotations

import functools
import inspect
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

import torch
from torch import Tensor

from onchip import devices, losses, models, nn, rules
from onchip import encoding as encode
from onchip.data import augment
from onchip.devices.crossbar import Crossbar
from onchip.encoding import Encoder
from onchip.errors import RequestError, unknown_name
from onchip.learning.lr_scaling import LRScaling
from onchip.learning.rule import Rule
from onchip.losses import Loss
from onchip.models.layout import Layout
from onchip.nn import neurons
from onchip.nn.signals import SignalKind
from onchip.runs.grammar import Call, Scalar, bind, command_name, describe, make_part, parse, split
from onchip.training.memory import enough

__all__ = [
    "MakeRule",
    "augmentation",
    "device",
    "device_name",
    "encoder",
    "known_encoders",
    "known_networks",
    "known_neurons",
    "known_rules",
    "known_synapse_devices",
    "loss",
    "network",
    "neuron",
    "rule",
    "synapses",
]

Named = TypeVar("Named")


@dataclass(frozen=True)
class MakeRule:
    """A rule as it was asked for; calling it attaches the rule to a model.

    Args:
        name: the rule's name.
        label: the name with the options that were given.
        values: all its options.
        function: the function of `onchip.rules`.
    """

    name: str
    label: str
    values: Mapping[str, Any]
    function: Callable[..., Rule]

    def __call__(self, model: nn.Sequential) -> Rule:
        return self.function(model, **self.values)

    @property
    def options(self) -> dict[str, Scalar]:
        """All its options as a record shows them."""
        return {name: describe(value) for name, value in self.values.items()}


def known_rules() -> dict[str, Callable[..., Rule]]:
    """The learning rules: the functions that `onchip.rules` exports."""
    return _exported(rules, inspect.isfunction)


def known_networks() -> dict[str, Callable[..., nn.Sequential]]:
    """The networks that `onchip.models` exports."""
    return _exported(models, callable)


def known_neurons() -> dict[str, type[nn.Neuron]]:
    """The neurons: the concrete classes that `onchip.nn.neurons` exports."""
    return _exported(neurons, _is_concrete)


def known_encoders() -> dict[str, Callable[..., Encoder]]:
    """The encoders: the concrete classes that `onchip.encoding` exports."""
    return _exported(encode, _is_concrete)


def known_synapse_devices() -> dict[str, Callable[..., Crossbar]]:
    """What synapses can be made of: the functions that `onchip.devices` exports."""
    return _exported(devices, inspect.isfunction)


def rule(text: str) -> MakeRule:
    """The rule that a text such as `fbp:period=100` asks for.

    Raises:
        RequestError: the rule or an option does not exist, or a value is not of its type.
    """
    call = parse(text)
    function = _find("rule", call.name, known_rules())
    model = next(iter(inspect.signature(function).parameters))
    return MakeRule(
        call.name, str(call), bind(f"rule {call.name!r}", function, call.options, settled=[model]), function
    )


def network(text: str) -> Callable[..., nn.Sequential]:
    """What builds the network of a name, such as `conv-small`, or of a layout, such as `16C3-P2-32C3-P2-F128`.

    Raises:
        RequestError: there is no network of that name, or the layout has a layer of no known kind.
    """
    known = known_networks()
    if command_name(text) not in known and Layout.resembles(text):
        return Layout(text)
    return _find("network", command_name(text), known)


def neuron(text: str) -> tuple[Callable[[], nn.Neuron], SignalKind]:
    """What makes one layer of neurons, and the kind of signal that they work in.

    Raises:
        RequestError: the neuron or an option does not exist, or a value is not of its type.
    """
    call = parse(text)
    made = _find("neuron", call.name, known_neurons())
    return functools.partial(made, **bind(f"neuron {call.name!r}", made, call.options)), made.signal


def encoder(
    text: str | None, kind: SignalKind, *, steps: int, generator: torch.Generator, recorded: bool = False
) -> tuple[Encoder, str]:
    """What turns images into signals of a kind, and its name with the options given.

    Args:
        text: the encoder asked for; None takes the kind's usual one.
        kind: what the neurons work in.
        steps: time steps T, for encoders that have them.
        generator: source of randomness, for encoders that draw.
        recorded: whether it is for recordings, whose usual encoder is `frames`.

    Raises:
        RequestError: the encoder or an option does not exist, or it makes the other kind of signal.
    """
    usual = "frames" if recorded else kind.encoder
    call = Call(usual, {}) if text is None else parse(text)
    made = _find("encoder", call.name, known_encoders())
    supplied = {
        name: value
        for name, value in {"steps": steps, "generator": generator}.items()
        if name in inspect.signature(made).parameters
    }
    options = bind(f"encoder {call.name!r}", made, call.options, settled=supplied)
    built = made(**options, **supplied)
    if kind not in built.signals:
        remedy = "expected LIF or IF neurons" if recorded else f"leave it out to get {usual!r}"
        makes = " or ".join(made.name for made in built.signals)
        raise RequestError(f"encoder {call.name!r} makes {makes}, but these neurons take {kind.name}; {remedy}")
    return built, str(call)


def loss(text: str | None, kind: SignalKind) -> Loss:
    """The loss that a text such as `steploss:0.05` asks for; None takes the usual one of a kind of signal.

    Raises:
        RequestError: there is no such loss, or its arguments do not fit.
    """
    return make_part(kind.loss if text is None else text, _exported(losses, _is_concrete), "loss")


def synapses(text: str, *, lr: float, lr_scaling: LRScaling) -> Callable[[Rule], Crossbar]:
    """What makes the device that a text such as `pulsed:quantum=0.003` asks for, from a rule.

    Args:
        text: the device with its options.
        lr: learning rate.
        lr_scaling: how it is shared among layers.

    Raises:
        RequestError: there is no such device, or its options do not fit.
    """
    call = parse(text)
    function = _find("device", call.name, known_synapse_devices())
    supplied = {"lr": lr, "lr_scaling": lr_scaling}
    values = bind(f"device {call.name!r}", function, call.options, settled=["rule", *supplied])
    return functools.partial(function, **values, **supplied)


def augmentation(text: str | None) -> Callable[[Tensor, torch.Generator], Tensor] | None:
    """What changes training images at random, from a text such as `crop:4,flip`; None for none.

    Raises:
        RequestError: there is no such change, or its arguments do not fit.
    """
    if text is None:
        return None
    known = {name: made for name, made in _exported(augment, _is_concrete).items() if made is not augment.Compose}
    return augment.Compose(*(make_part(part, known, "augment") for part in split(text)))


def device(name: str) -> torch.device:
    """Where to compute.

    Raises:
        RequestError: this machine has no such device.
        MemoryLimitError: the device's memory is full.
    """
    try:
        with enough("a single number", name):
            torch.zeros(1, device=name).item()
        return torch.device(name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        found = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        raise RequestError(f"device got {name!r}; this machine has: {', '.join(found)}") from error


def device_name(name: str) -> str:
    """The processor's name, as well as it can be told."""
    if device(name).type == "cuda":
        return torch.cuda.get_device_name(device(name))
    return platform.processor() or platform.machine()


def _exported(package: ModuleType, wanted: Callable[[Any], bool]) -> dict[str, Any]:
    found = {command_name(name): getattr(package, name) for name in package.__all__}
    return {name: value for name, value in sorted(found.items()) if wanted(value)}


def _is_concrete(value: object) -> bool:
    return inspect.isclass(value) and not inspect.isabstract(value)


def _find(kind: str, name: str, known: Mapping[str, Named]) -> Named:
    if name not in known:
        raise unknown_name(kind, name, known)
    return known[name]
