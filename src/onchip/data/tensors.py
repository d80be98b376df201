"""Inputs and labels in tensors of the types that users have, as a split."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from onchip.data.samples import FEATURES, FLOAT_IMAGES, IMAGES, SEQUENCES, SampleKind
from onchip.data.split import Split
from onchip.errors import RequestError

KINDS: dict[tuple[bool, int], SampleKind] = {
    (True, 2): FEATURES,
    (True, 3): SEQUENCES,
    (True, 4): FLOAT_IMAGES,
    (True, 5): SEQUENCES,
    (False, 3): SEQUENCES,
    (False, 4): IMAGES,
    (False, 5): SEQUENCES,
}
"""What samples are, by whether they are floats (or else bytes), and by the number of axes, the batch included."""

EXPECTED = (
    "floats in [0, 1] of (N, features) or (N, C, H, W), bytes (uint8) of (N, C, H, W), or sequences (N, T, features...)"
)


def tensor_split(inputs: Any, labels: Any, lengths: Any = None) -> Split:
    """A split of tensors, or of NumPy arrays.

    Args:
        inputs: (N, C, H, W) images as bytes, or as floats in [0, 1]; (N, features) in [0, 1]; or (N, T, features...)
            sequences of any numbers, of which T are the time steps.
        labels: (N,) whole numbers; for sequences also (N, T), -1 where a step has no target.
        lengths: (N,) time steps of each sequence; None where all have T.

    Raises:
        RequestError: Something else, of other shapes or types, with NaN, or out of range.
    """
    samples = _floats_or_bytes(_tensor("inputs", inputs))
    kind = KINDS.get((samples.is_floating_point(), samples.ndim))
    if kind is None:
        raise RequestError(f"got inputs {tuple(samples.shape)} {samples.dtype}; expected {EXPECTED}")
    if samples.is_floating_point() and not kind.over_time and samples.numel():
        low, high = torch.stack(torch.aminmax(samples)).tolist()
        if not (low >= 0.0 and high <= 1.0):  # also where there is NaN, which passes on
            raise RequestError(
                f"got {kind.name} in [{low:g}, {high:g}]; expected values in [0, 1], and no NaN. Scale them, or make "
                "them sequences (N, T, features...), which may have any numbers"
            )
    whole = [
        _whole(name, _tensor(name, value))
        for name, value in (("labels", labels), ("lengths", lengths))
        if value is not None
    ]
    return Split(samples, whole[0], kind, *whole[1:])


def _tensor(name: str, value: Any) -> Tensor:
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        value = torch.from_numpy(np.ascontiguousarray(value))
    if not isinstance(value, Tensor):
        raise RequestError(f"got {name} of type {type(value).__name__}; expected a tensor or a NumPy array of numbers")
    if value.ndim == 0:
        raise RequestError(f"got {name} as a single number; expected a batch of them")
    return value.detach()


def _floats_or_bytes(samples: Tensor) -> Tensor:
    if samples.dtype == torch.bool:
        return samples.to(torch.uint8) if samples.ndim in (3, 5) else samples.float()
    if samples.is_floating_point():
        return samples.float()
    if samples.dtype != torch.uint8:
        raise RequestError(f"got inputs of {samples.dtype}; expected {EXPECTED}. Convert them with .float()")
    return samples


def _whole(name: str, given: Any) -> Tensor:
    values = _tensor(name, given)
    if values.is_floating_point() or values.is_complex() or values.dtype == torch.bool:
        raise RequestError(f"got {name} of {values.dtype}; expected whole numbers, as of .long()")
    return values.long()
