"""From names on the command line to rules, networks, neurons, encoders and so on: whatever the packages export."""

import inspect
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from onchip import devices, encoding, losses, models, nn, rules
from onchip.data import augment
from onchip.data.samples import IMAGES, SampleKind
from onchip.encoding import Encoder
from onchip.errors import RequestError, unknown_name
from onchip.losses import Loss
from onchip.models.layout import Layout
from onchip.nn import neurons
from onchip.nn.signals import SignalKind
from onchip.runs.code import code_name
from onchip.runs.grammar import Scalar, bind, command_name, describe, make_part, parse, split
from onchip.runs.user_function import user_function
from onchip.training.memory import enough
from onchip.training.own_network import OwnNetwork

PACKAGES: dict[str, ModuleType] = {
    "rule": rules,
    "network": models,
    "neuron": neurons,
    "encoder": encoding,
    "device": devices,
    "loss": losses,
    "augment": augment,
}
"""Where the parts of each kind are: the functions and concrete classes that the package exports."""

SUPPLIED = {
    "rule": ("model",),
    "network": ("shape", "classes", "neuron"),
    "encoder": ("steps", "generator", "signal"),
    "device": ("rule", "lr", "lr_scaling"),
}
"""Parameters that are no options, because a run supplies them."""


@dataclass(frozen=True)
class Part:
    """A function or class with the options that a text gives it; a call adds what a run supplies.

    Args:
        name: Its name.
        label: The name with the options that were given.
        values: All its options.
        function: The function or class.
        own: Whether it is an object of a program's, of which a name may say too little.
    """

    name: str
    label: str
    values: Mapping[str, Any]
    function: Callable[..., Any]
    own: bool = False

    def __call__(self, *supplied: Any, **named: Any) -> Any:
        return self.function(*supplied, **self.values, **named)

    @property
    def options(self) -> dict[str, Scalar]:
        """All its options as a record shows them."""
        return {name: describe(value) for name, value in self.values.items()}


def known(kind: str) -> dict[str, Callable[..., Any]]:
    """All parts of a kind, one of `PACKAGES`, by their names on the command line."""
    exported = {command_name(name): getattr(PACKAGES[kind], name) for name in PACKAGES[kind].__all__}
    return {name: made for name, made in sorted(exported.items()) if callable(made) and not inspect.isabstract(made)}


def part(kind: str, text: str) -> Part:
    """The part that a text such as `fbp:period=100` names.

    Raises:
        RequestError: The part or an option does not exist, or a value is not of its type.
    """
    settled = SUPPLIED.get(kind, ())

    def first(name: str) -> str | None:
        """The first option, where it need not be named."""
        parameters = inspect.signature(_find(kind, name)).parameters.values()
        return next((p.name for p in parameters if p.name not in settled and p.kind is p.POSITIONAL_OR_KEYWORD), None)

    call = parse(text, alone=first)
    function = _find(kind, call.name)
    values = bind(f"{kind} {call.name!r}", function, call.options, settled=settled)
    return Part(call.name, str(call), values, function)


def distinct(rules: Iterable[str]) -> list[Part]:
    """The rules that texts name.

    Raises:
        RequestError: As `part`; or two of the texts are spellings of one rule with the same options.
    """
    parts: list[Part] = []
    for made in (part("rule", text) for text in rules):
        for earlier in parts:
            if (made.name, made.options) == (earlier.name, earlier.options):
                also = "" if made.label == earlier.label else f", also as {made.label!r}"
                raise RequestError(f"rules names {earlier.label!r} twice{also}; name it once")
        parts.append(made)
    return parts


def network(text: str) -> Callable[..., nn.Sequential]:
    """What builds a network: of a name, such as `conv-small`, of a layout, such as `16C3-P2-32C3-P2-F128`, or of a
    user's function, such as `my_net.py:build`, whose file is then run.

    Raises:
        RequestError: There is no network of that name, or the layout has a layer of no known kind; or there is no
            such function, or its file fails or has changed.
    """
    if (code := code_name(text)) is not None:
        return OwnNetwork(user_function(code))
    if command_name(text) not in known("network") and Layout.resembles(text):
        return Layout(text)
    return _find("network", command_name(text))


def neuron(text: str) -> tuple[Callable[[], nn.Neuron], SignalKind]:
    """What makes one layer of neurons, and the kind of their signals.

    Raises:
        RequestError: The neuron or an option does not exist, or a value is not of its type.
    """
    made = part("neuron", text)
    return made, made.function.signal  # type: ignore[attr-defined]  # of every class of neurons


def encoder(
    text: str | None, kind: SignalKind, *, steps: int, generator: torch.Generator, samples: SampleKind = IMAGES
) -> tuple[Encoder, str]:
    """What turns samples into signals of a kind, and its name with the options given.

    Args:
        text: The encoder; None takes the default of the kind.
        kind: The signals that the neurons take.
        steps: Time steps T, for encoders that have them.
        generator: Source of randomness, for encoders that draw.
        samples: What it encodes; recordings and sequences have a default of their own.

    Raises:
        RequestError: The encoder or an option does not exist, it makes another kind of signal, or it encodes other
            samples.
    """
    default = samples.encoder or kind.encoder
    chosen = part("encoder", default if text is None else text)
    parameters = inspect.signature(chosen.function).parameters
    supplied = {"steps": steps, "generator": generator, "signal": kind}
    built = chosen(**{name: value for name, value in supplied.items() if name in parameters})
    if built.samples.encoder != samples.encoder:  # kinds with one default are encoded alike
        raise RequestError(
            f"encoder {chosen.name!r} encodes {built.samples.name}, but the data are {samples.name}; leave it out to "
            f"get {default!r}"
        )
    if kind not in built.signals:
        remedy = "expected LIF or IF neurons" if samples.encoder else f"leave it out to get {default!r}"
        makes = " or ".join(signal.name for signal in built.signals)
        raise RequestError(f"encoder {chosen.name!r} makes {makes}, but these neurons take {kind.name}; {remedy}")
    return built, chosen.label


def loss(text: str | None, kind: SignalKind) -> Loss:
    """The loss of a text such as `steploss:0.05`; None takes the default of a kind of signal.

    Raises:
        RequestError: There is no such loss, or its arguments do not fit.
    """
    exported = {name: made for name, made in known("loss").items() if inspect.isclass(made)}
    return make_part(kind.loss if text is None else text, exported, "loss")


def augmentation(text: str | None) -> Callable[[Tensor, torch.Generator], Tensor] | None:
    """What changes training images at random, from a text such as `crop:4,flip`; None for none.

    Raises:
        RequestError: There is no such change, or its arguments do not fit.
    """
    if text is None:
        return None
    changes = {name: made for name, made in known("augment").items() if made is not augment.Compose}
    return augment.Compose(*(make_part(change, changes, "augment") for change in split(text)))


def device(name: str) -> torch.device:
    """Where to compute.

    Raises:
        RequestError: This machine has no such device.
        MemoryLimitError: The device's memory is full.
    """
    try:
        with enough("a single number", name):
            torch.zeros(1, device=name).item()
        return torch.device(name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        present = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        raise RequestError(f"device got {name!r}; this machine has: {', '.join(present)}") from error


def device_name(name: str) -> str:
    """The processor's name, as far as the system reports it."""
    if device(name).type == "cuda":
        return torch.cuda.get_device_name(device(name))
    return platform.processor() or platform.machine()


def _find(kind: str, name: str) -> Callable[..., Any]:
    parts = known(kind)
    if name not in parts:
        raise unknown_name(kind, name, parts)
    return parts[name]
