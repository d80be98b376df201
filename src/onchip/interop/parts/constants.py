"""Constants of neurons: one number for the layer, or one per neuron."""

import numpy as np
import torch
from torch import Tensor

from onchip.errors import UnsupportedError
from onchip.interop.conventions import Numbers
from onchip.interop.parts.base import Found


def filled(value: float | Tensor, shape: tuple[int, ...]) -> Numbers:
    """A constant written out for neurons of a shape."""
    numbers = value.detach().cpu().double().numpy() if isinstance(value, Tensor) else np.float64(value)
    return np.broadcast_to(numbers, shape).astype(np.float64)


def spread(found: Found, name: str, shape: tuple[int, ...]) -> Numbers:
    """A field of a node, written out for neurons of a shape.

    Raises:
        UnsupportedError: It is of another shape, or holds no finite numbers.
    """
    numbers = found.numbers(name)
    try:
        return np.broadcast_to(numbers, shape).astype(np.float64)
    except ValueError:
        raise UnsupportedError(
            f"{found.kind} {found.name!r} has {name} of shape {numbers.shape}, and neurons of shape {shape} get its "
            "input; expected one shape"
        ) from None


def shared(values: Numbers) -> float | None:
    """The number that all are, but for rounding; None if they differ."""
    first = float(values.flat[0])
    return first if np.allclose(values, first, rtol=1e-9, atol=0.0) else None


def compact(values: Numbers) -> float | Tensor:
    """A constant as our neurons take it: a number, or a tensor with axes of size 1 along which it does not change."""
    number = shared(values)
    if number is not None:
        return number
    for axis in range(values.ndim):
        first = values.take([0], axis)
        if (values == first).all():
            values = first
    return torch.from_numpy(values.copy())


def recalled(found: Found, name: str, derived: Numbers) -> float | Tensor:
    """A decay as our neurons take it: as it was given before an export of ours, or as the node says."""
    if not found.agrees(name, derived):
        return compact(derived)
    stored = np.asarray(found.memory[name], np.float64)
    return float(stored) if stored.ndim == 0 else torch.from_numpy(stored.copy())
