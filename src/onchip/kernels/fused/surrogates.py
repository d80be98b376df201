"""ψ(x) · error on a GPU, by the formulas of kernels/neuron.h; and weights of a scan there."""

from __future__ import annotations

import functools

import torch
import triton
import triton.language as tl
from torch import Tensor

from onchip.kernels.table import Formula

SIGMOID: tl.constexpr = tl.constexpr(Formula.SIGMOID.value)
ATAN: tl.constexpr = tl.constexpr(Formula.ATAN.value)
FAST_SIGMOID: tl.constexpr = tl.constexpr(Formula.FAST_SIGMOID.value)
TRIANGLE: tl.constexpr = tl.constexpr(Formula.TRIANGLE.value)


@functools.lru_cache(maxsize=64)
def on_device(weights: tuple[float, ...], device: torch.device) -> Tensor:
    """Weights on the device; the same ones are used at every step, and a copy would wait for the device."""
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
    else:  # RECTANGLE
        psi = tl.where(tl.abs(x) < first, 1.0, 0.0) * error * second
    return psi
