"""Traces and weighted sums over time on a GPU, in float32 whatever the tensors are."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from onchip.kernels.fused.surrogates import on_device

BLOCK = 1024


def trace(signal: Tensor, before: Tensor | None, traced: Tensor, decay: float) -> None:
    """Fills `traced` (T, B, ...) with a[t] = λ a[t-1] + x[t]; `before` (B, ...) is laid out as a step of it."""
    n = signal[0].numel()
    started = before is not None
    arguments = signal, before if started else signal, traced, len(signal), n, decay
    _trace[(triton.cdiv(n, BLOCK),)](*arguments, STARTED=started, BLOCK=BLOCK, enable_fp_fusion=False)


def weighted_sum(series: Tensor, weights: tuple[float, ...], total: Tensor) -> None:
    """Fills `total` (B, ...) with the sum over t of weights[t] series[t]."""
    n = total.numel()
    factors = on_device(weights, series.device)
    _weighted_sum[(triton.cdiv(n, BLOCK),)](series, factors, total, len(series), n, BLOCK=BLOCK, enable_fp_fusion=False)


@triton.jit
def _trace(signal, before, traced, steps, n, decay, STARTED: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = at < n
    last = tl.zeros([BLOCK], tl.float32)
    if STARTED:
        last = tl.load(before + at, mask=live).to(tl.float32)
    for _ in range(steps):
        last = tl.fma(last, decay, tl.load(signal + at, mask=live).to(tl.float32))
        tl.store(traced + at, last.to(traced.dtype.element_ty), mask=live)
        signal += n
        traced += n


@triton.jit
def _weighted_sum(series, factors, total, steps, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = at < n
    whole = tl.zeros([BLOCK], tl.float32)
    for t in range(steps):
        whole = tl.fma(tl.load(series + at, mask=live).to(tl.float32), tl.load(factors + t), whole)
        series += n
    tl.store(total + at, whole.to(total.dtype.element_ty), mask=live)
