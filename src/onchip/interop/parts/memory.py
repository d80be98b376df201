"""What NIR cannot say of spiking neurons, stored beside a node for our own import."""

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from onchip import surrogate
from onchip.errors import OnchipError
from onchip.interop.conventions import Conventions
from onchip.interop.parts.base import Found
from onchip.nn.neurons.leaky import Leaky
from onchip.nn.neurons.spiking import Spiking
from onchip.runs.grammar import command_name, describe, make_part

SURROGATES = {command_name(name): getattr(surrogate, name) for name in surrogate.__all__ if name != "Surrogate"}


def decays(neuron: Leaky, names: Sequence[str]) -> dict[str, Any]:
    """Decays as they were given, and the parameters of learned ones."""
    stored: dict[str, Any] = {}
    for name in names:
        stored[name], raw = _plain(neuron.constant(name)), getattr(neuron, f"{name}_parameter")
        if raw is not None:
            stored[f"{name}_parameter"] = _plain(raw)
    return stored


def restore(found: Found, neuron: Leaky, names: Sequence[str]) -> None:
    """Gives neurons their precision, and learned decays the parameters, that were stored."""
    if found.text("precision") == "float64":
        neuron.double()
    for name in names:
        for held, key in ((f"{name}_parameter", f"{name}_parameter"), (f"{name}_per_neuron", name)):
            tensor, stored = getattr(neuron, held), found.memory.get(key)
            if tensor is not None and stored is not None and np.shape(stored) == tuple(tensor.shape):
                values = tensor.detach().new_tensor(np.asarray(stored, np.float64))
                # What the node says, but for rounding; the logistic function is flat far from 0.
                if values.numel() and (values - tensor.detach()).abs().max() < 1e-3:
                    tensor.data.copy_(values)


def learns(found: Found, names: Sequence[str]) -> bool:
    """Whether the decays were learned."""
    return all(f"{name}_parameter" in found.memory for name in names)


def spiking(neuron: Spiking) -> dict[str, Any]:
    """Reset, threshold and surrogate derivative."""
    membrane = neuron.membrane()
    return {
        "reset": "hard" if membrane.hard else "soft",
        "threshold": float(membrane.threshold),
        "detach_reset": int(membrane.detach_reset),
        "surrogate": str(describe(neuron.surrogate)),
    }


def options(found: Found, conventions: Conventions) -> dict[str, Any]:
    """The options of spiking neurons that were stored; without them, the reset of the reader, or the one asked for."""
    stored = found.text("reset")
    given: dict[str, Any] = {
        "reset": stored if stored in ("soft", "hard") else conventions.reset,
        "detach_reset": found.flag("detach_reset", default=False),
    }
    text = found.text("surrogate")
    if text:
        with contextlib.suppress(OnchipError):  # a function of the user's, which a file cannot name
            given["surrogate"] = make_part(text, SURROGATES, "surrogate")
    return given


def _plain(value: float | Tensor) -> Any:
    """A number, or an array with axes, which `nir.write` compresses."""
    if not isinstance(value, Tensor):
        return value
    numbers = value.detach().cpu().double()
    return numbers.numpy() if numbers.dim() else numbers.item()
