"""Presynaptic traces: what of the past a synapse remembers of its own input."""

from collections.abc import Sequence

import torch
from torch import Tensor

from onchip.kernels import buffers, gpu, native


def trace(signal: Tensor, decay: float | Tensor, before: Tensor | None = None) -> Tensor:
    """Eligibility trace a[t] = λ a[t-1] + x[t] of a signal.

    Args:
        signal: x, (T, B, features...); left untouched.
        decay: λ of the postsynaptic neuron; or a tensor that broadcasts with (features...), of one λ per entry.
        before: a before the first step, (B, features...), or None for zero.

    Returns:
        a, (T, B, features...), a new tensor.
    """
    traced = buffers.empty_like(signal)
    fused, scan = None, None
    if not isinstance(decay, Tensor):
        fused, scan = gpu.scan("trace", signal), native.scan("onchip_trace", signal)
    if before is not None and (before.stride() != signal[0].stride() or before.dtype != signal.dtype):
        before = torch.empty_like(signal[0]).copy_(before)
    if fused is not None and fused(signal, before, traced, decay):
        return traced
    if scan is not None:
        start = None if before is None else before.data_ptr()
        scan(signal.data_ptr(), start, traced.data_ptr(), len(signal), signal[0].numel(), decay)
        return traced
    if signal.dtype in (torch.bfloat16, torch.float16):  # rounded when it is stored, and not added up rounded
        return trace(signal.float(), decay, None if before is None else before.float()).to(signal.dtype)
    for t, now in enumerate(signal):
        last = traced[t - 1] if t else before
        if last is None:
            traced[t].copy_(now)
        else:
            add_decayed(now, last, decay, out=traced[t])
    return traced


def trace_adjoint_(error: Tensor, decay: float | Tensor) -> Tensor:
    """dL/dx[t] = dL/da[t] + λ dL/dx[t+1] of a trace, written over dL/da (T, B, features...)."""
    scan = None if isinstance(decay, Tensor) else native.scan("onchip_trace_adjoint", error)
    if scan is not None:
        scan(error.data_ptr(), len(error), error[0].numel(), decay)
        return error
    for t in range(len(error) - 2, -1, -1):
        add_decayed(error[t], error[t + 1], decay, out=error[t])
    return error


def add_decayed(now: Tensor, last: Tensor, decay: float | Tensor, out: Tensor | None = None) -> Tensor:
    """now + λ · last, for a number λ or a tensor that broadcasts with them."""
    if isinstance(decay, Tensor):
        return torch.addcmul(now, last, decay, out=out)
    return torch.add(now, last, alpha=decay, out=out)


def scalar_trace(values: Sequence[float], decay: float, before: float = 0.0) -> list[float]:
    """Trace of numbers, one per step: c[t] = λ c[t-1] + values[t]."""
    factors = []
    for value in values:
        before = decay * before + value
        factors.append(before)
    return factors
