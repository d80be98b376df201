"""Neurons under one drive held for all steps, from rest: their potentials are made anew when errors come back.

The drive says all. So nothing as large as T·B neurons is written but their spikes, and errors are summed over time
where they arise. In compiled code and Triton alone; elsewhere, and for the errors of each step, there is `lif`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from onchip.kernels import buffers, gpu, native
from onchip.kernels.lif import NO_PAST, Membrane, extent_of, pooled
from onchip.surrogate import Surrogate

__all__ = ["LONGEST", "forward", "sums"]

LONGEST = 256
"""Steps T for which compiled code has room, as in scans.c."""
UNROLLED = 16
"""Steps T whose potentials a GPU holds in registers."""


def forward(drive: Tensor, steps: int, membrane: Membrane, pool: int | None) -> tuple[Tensor, Tensor] | None:
    """Spikes, or their pooled average, (T, B, ...), and the membrane after the last step (B, features...).

    Args:
        drive: I, (B, features...), dense; left untouched.
        steps: T.
        membrane: the neurons' constants.
        pool: side of a square average pool taken of the spikes, or None.

    Returns:
        None, and nothing done, where compiled code cannot do it.
    """
    series = drive.unsqueeze(0)
    fused = gpu.scan("forward", series) if (pool or 1) <= gpu.WIDEST else None
    scan = native.scan("onchip_fire", "ppppiiiiiiiiidd", series)
    extent, most = extent_of(series, pool), LONGEST if fused is None else UNROLLED
    if (fused is None and scan is None) or extent is None or not 1 < steps <= most:
        return None
    shape, strides = (series.shape, series.stride()) if pool is None else pooled(series, pool)
    output = buffers.empty((steps, *shape[1:]), strides, drive)
    kept = torch.empty_like(drive, dtype=torch.promote_types(drive.dtype, torch.float32))
    constants = membrane.decay, membrane.threshold
    if fused is not None and fused(drive, None, output, kept, extent, *constants, True, False, membrane.hard):
        return output, kept
    if scan is None:
        return None
    pointers = drive.data_ptr(), None, output.data_ptr(), kept.data_ptr()
    scan(*pointers, steps, *extent, True, False, membrane.hard, *constants)
    return output, kept


def sums(
    drive: Tensor,
    error: Tensor,
    membrane: Membrane,
    surrogate: Surrogate,
    pool: int | None,
    weights: Sequence[float],
    *,
    through_time: bool,
) -> tuple[Tensor, Tensor] | None:
    """sum_t weights[t] δ[t] and sum_t δ[t], each (B, features...), of the errors that `adjoint` or `local` make.

    Args:
        drive: I, (B, features...), as it was given to `forward`.
        error: g, dL/ds (T, B, ...), on the pooled grid if `pool` is given.
        membrane: the neurons' constants.
        surrogate: ψ.
        pool: side of the average pool that `forward` took, or None.
        weights: a number for each step.
        through_time: the errors of `adjoint`; else those of `local`.

    Returns:
        None, and nothing done, where compiled code cannot do it.
    """
    series = drive.unsqueeze(0)
    fused, scan = gpu.scan("sums", series), native.scan("onchip_held", "pppppiiiiiiiiiiddd", series)
    extent, known, most = extent_of(series, pool), surrogate.compiled(), LONGEST if fused is None else UNROLLED
    if (fused is None and scan is None) or extent is None or known is None or not 1 < len(error) <= most:
        return None
    shape, strides = (series.shape, series.stride()) if pool is None else pooled(series, pool)
    if error.stride()[1:] != strides[1:] or error.dtype != drive.dtype:
        like = torch.empty_strided((len(error), *shape[1:]), strides, dtype=drive.dtype, device=drive.device)
        error = like.copy_(error)
    alike = all(weight == 1.0 for weight in weights)
    total = torch.empty_like(drive)
    plain = total if alike else torch.empty_like(drive)
    past = membrane.hard + 2 * membrane.detach_reset if through_time else NO_PAST
    constants = membrane.decay, membrane.threshold
    if fused is not None and fused(
        drive, error, tuple(weights), total, plain, extent, past, known, *constants, membrane.hard
    ):
        return total, plain
    if scan is None:
        return None
    factors = torch.tensor(weights, dtype=torch.float32)
    pointers = (tensor.data_ptr() for tensor in (drive, error, factors, total))
    written = None if alike else plain.data_ptr()
    scan(*pointers, written, len(error), *extent, error.stride(0), membrane.hard, past, *known, *constants)
    return total, plain
