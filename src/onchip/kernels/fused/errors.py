"""Errors of leaky integrate-and-fire neurons on a GPU: through time, or at each step alone.

A program runs a block of neurons from the last step to the first, the error of the step after in registers, float32.
Errors of a pool are read from its small grid; neighbours that share one find it in the cache.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from onchip.kernels.fused.surrogates import gated
from onchip.kernels.table import CompiledSurrogate, Past

RESET_SOFT: tl.constexpr = tl.constexpr(Past.RESET_SOFT.value)
RESET_HARD: tl.constexpr = tl.constexpr(Past.RESET_HARD.value)
DETACHED_HARD: tl.constexpr = tl.constexpr(Past.DETACHED_HARD.value)
NO_PAST: tl.constexpr = tl.constexpr(Past.NO_PAST.value)

BLOCK = 1024


@triton.jit
def arrival(at, channels, width, POOL: tl.constexpr):
    """Position of a neuron's error on its grid, for neurons in channels_last order."""
    if POOL == 1:
        place = at
    else:
        pixel, channel = at // channels, at % channels
        cell = pixel // width // POOL * (width // POOL) + pixel % width // POOL
        place = cell * channels + channel
    return place


@triton.jit
def error_of(u, g, later, more, decay, threshold, through, first, second, KIND: tl.constexpr, PAST: tl.constexpr):
    """δ[t] from δ[t+1], where there are `more` steps after this one."""
    if PAST == RESET_SOFT:
        g = tl.fma(later, -through, g)
    if PAST == RESET_HARD:
        # The last step has nothing after it: infinity times zero would be NaN.
        g = tl.where(more, g - decay * u * later, g)
    delta = gated(u - threshold, g, first, second, KIND)
    if PAST == RESET_HARD or PAST == DETACHED_HARD:
        later = tl.where(u >= threshold, 0.0, later)
    if PAST != NO_PAST:
        delta = tl.fma(later, decay, delta)
    return delta


def backward(
    potentials: Tensor,
    error: Tensor,
    extent: tuple[int, ...],
    past: Past,
    formula: CompiledSurrogate,
    decay: float,
    threshold: float,
) -> None:
    """Writes dL/dI over the potentials (T, B, ...).

    Args:
        potentials: u.
        error: (T, B, ...) on the pooled grid, each step in the potentials' order; steps may be one and the same.
        extent: (B, H, W, C, pool), as in kernels/lif.py.
        past: how errors reach earlier steps.
        formula: the surrogate.
        decay: λ.
        threshold: θ.
    """
    _, _, width, channels, pool = extent
    n = potentials[0].numel()
    sizes = len(potentials), n, error.stride(0), *((channels, width) if pool > 1 else (1, 1))
    factors = decay, threshold, decay * threshold, *formula[1:], 1.0 / (pool * pool)
    options = {"KIND": int(formula[0]), "PAST": int(past), "POOL": pool, "BLOCK": BLOCK, "enable_fp_fusion": False}
    _backward[(triton.cdiv(n, BLOCK),)](potentials[-1], error[-1], *sizes, *factors, **options)


@triton.jit
def _backward(
    potentials,  # of the last step
    error,
    steps,
    n,
    error_step,
    channels,
    width,
    decay,
    threshold,
    through,
    first,
    second,
    share,
    KIND: tl.constexpr,
    PAST: tl.constexpr,
    POOL: tl.constexpr,
    BLOCK: tl.constexpr,
):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = at < n
    arriving = arrival(at, channels, width, POOL)
    later = tl.zeros([BLOCK], tl.float32)
    for back in range(steps):
        u = tl.load(potentials + at, mask=live).to(tl.float32)
        g = tl.load(error + arriving, mask=live).to(tl.float32)
        if POOL > 1:
            g = g * share
        later = error_of(u, g, later, back > 0, decay, threshold, through, first, second, KIND, PAST)
        tl.store(potentials + at, later.to(potentials.dtype.element_ty), mask=live)
        potentials -= n
        error -= error_step
