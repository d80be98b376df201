"""ψ(x) · error on a GPU, by the numbers and formulas of kernels/scans.c; and constants of a scan there."""

from __future__ import annotations

import functools
import math

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["constants", "gated", "on_device"]

SIGMOID: tl.constexpr = tl.constexpr(0)
ATAN: tl.constexpr = tl.constexpr(1)
FAST_SIGMOID: tl.constexpr = tl.constexpr(2)
TRIANGLE: tl.constexpr = tl.constexpr(3)


def constants(kind: int, option: float) -> tuple[float, float]:
    """The two constants that `gated` wants for a surrogate, as `made` in kernels/scans.c has them."""
    option = float(option)  # a whole number would make a kernel of its own
    if kind == ATAN.value:
        return math.pi * option / 2, option / 2
    if kind == TRIANGLE.value:
        return -1 / option, 1 / option
    if kind in (SIGMOID.value, FAST_SIGMOID.value):
        return option, 1.0
    return option / 2, 1 / option


@functools.lru_cache(maxsize=64)
def on_device(weights: tuple[float, ...], device: torch.device) -> Tensor:
    """Weights on the device; the same ones come back at every step, and a copy would wait for it."""
    return torch.tensor(weights, dtype=torch.float32, device=device)


@triton.jit
def gated(x, error, first, second, KIND: tl.constexpr):
    """ψ(x) · error, float32."""
    if KIND == SIGMOID:  # from exp(-|kx|), which loses no digits to 1 - σ
        e = tl.exp(-tl.abs(x * first))
        q = 1.0 + e
        psi = error * (e / (q * q)) * first
    elif KIND == ATAN:
        far = x * first
        psi = error / (far * far + 1.0) * second
    elif KIND == FAST_SIGMOID:
        far = tl.abs(x) * first + 1.0
        psi = error / (far * far)
    elif KIND == TRIANGLE:
        far = tl.abs(x) * first + 1.0
        psi = tl.where(far < 0.0, 0.0, far) * error * second
    else:  # a rectangle
        psi = tl.where(tl.abs(x) < first, 1.0, 0.0) * error * second
    return psi
