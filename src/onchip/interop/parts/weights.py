"""Weights as arrays, and back."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from onchip.errors import UnsupportedError
from onchip.interop.parts.base import Found


def array(tensor: Tensor) -> Any:
    """A tensor as an array of its own, in double precision where it has that, else in single."""
    wide = tensor.dtype == torch.float64
    return tensor.detach().to("cpu", torch.float64 if wide else torch.float32, copy=True).numpy()


def parameter(found: Found, name: str, shape: tuple[int, ...] | None = None) -> torch.nn.Parameter:
    """Weights of a node as a parameter: in single precision, or in double if our export wrote them so.

    Raises:
        UnsupportedError: They are no finite numbers, or not of the expected shape.
    """
    numbers = found.numbers(name)
    if shape is not None and numbers.shape != shape:
        raise UnsupportedError(
            f"{found.kind} {found.name!r} has {name} of shape {numbers.shape}; expected {shape}, one for each output"
        )
    wide = found.text("precision") == "float64"
    rounded = numbers.astype(np.float64 if wide else np.float32)
    if not np.isfinite(rounded).all():
        raise UnsupportedError(f"{found.kind} {found.name!r} has numbers in {name} that are no float32")
    return torch.nn.Parameter(torch.from_numpy(rounded))
