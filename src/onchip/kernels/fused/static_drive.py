"""Errors of neurons under a static drive on a GPU, summed over time where they arise.

A program computes the potentials of a block of neurons again, keeps them in registers, all steps at once, and goes back
through them. It moves 1/p² numbers per neuron and step, and a few per neuron.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from onchip.kernels.fused.errors import arrival, error_of
from onchip.kernels.fused.surrogates import on_device
from onchip.kernels.table import CompiledSurrogate, Past

BLOCK = 512


def sums(
    drive: Tensor,
    error: Tensor,
    weights: tuple[float, ...],
    total: Tensor,
    plain: Tensor,
    extent: tuple[int, ...],
    past: Past,
    formula: CompiledSurrogate,
    decay: float,
    threshold: float,
    hard: bool,
) -> None:
    """Fills total (B, ...) with the sum over t of weights[t] δ[t], and plain with that of δ[t].

    Args:
        drive: I, (B, ...).
        error: (T, B, ...), as `onchip.kernels.fused.errors.backward` takes it.
        weights: a number for each step.
        total: filled.
        plain: filled; it may be `total`, for weights of 1.
        extent, past, formula, decay, threshold: as of `backward`.
        hard: reset to zero.
    """
    _, _, width, channels, pool = extent
    n = drive.numel()
    tensors = drive, error[-1], on_device(weights, drive.device), total, plain
    sizes = n, error.stride(0), *((channels, width) if pool > 1 else (1, 1))
    factors = decay, threshold, decay * threshold, *formula[1:], 1.0 / (pool * pool)
    options = {"STEPS": len(error), "KIND": int(formula[0]), "PAST": int(past), "HARD": hard, "POOL": pool}
    _sums[(triton.cdiv(n, BLOCK),)](*tensors, *sizes, *factors, **options, BLOCK=BLOCK, enable_fp_fusion=False)


@triton.jit
def _sums(
    drive,
    error,  # of the last step
    factors,
    total,
    plain,
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
    STEPS: tl.constexpr,
    KIND: tl.constexpr,
    PAST: tl.constexpr,
    HARD: tl.constexpr,
    POOL: tl.constexpr,
    BLOCK: tl.constexpr,
):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = at < n
    arriving = arrival(at, channels, width, POOL)
    current = tl.load(drive + at, mask=live).to(tl.float32)
    membrane = tl.zeros([BLOCK], tl.float32)
    potentials = ()
    for _ in tl.static_range(STEPS):
        u = tl.fma(membrane, decay, current)
        stored = u.to(drive.dtype.element_ty).to(tl.float32)
        s = tl.where(stored >= threshold, 1.0, 0.0)
        if HARD:
            membrane = u - u * s
        else:
            membrane = u - threshold * s
        potentials = potentials + (stored,)
    later = tl.zeros([BLOCK], tl.float32)
    whole = tl.zeros([BLOCK], tl.float32)
    bare = tl.zeros([BLOCK], tl.float32)
    for back in tl.static_range(STEPS):
        g = tl.load(error + arriving, mask=live).to(tl.float32)
        if POOL > 1:
            g = g * share
        u = potentials[STEPS - 1 - back]
        later = error_of(u, g, later, back > 0, decay, threshold, through, first, second, KIND, PAST)
        whole = tl.fma(later, tl.load(factors + STEPS - 1 - back), whole)
        bare += later
        error -= error_step
    tl.store(plain + at, bare.to(plain.dtype.element_ty), mask=live)
    tl.store(total + at, whole.to(total.dtype.element_ty), mask=live)
