"""Neurons under a static drive, from rest: their potentials are computed again in the backward pass.

The drive determines them. So only spikes are written for each time step, and errors are summed over time where they
arise. In C and Triton only; elsewhere, and for the errors of each step, there is `lif`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from onchip.kernels import buffers, gpu, native
from onchip.kernels.lif import Membrane, extent_of, pooled
from onchip.kernels.table import NATIVE, TRITON, Past, compiled
from onchip.surrogate import Surrogate


def forward(drive: Tensor, steps: int, membrane: Membrane, pool: int | None) -> tuple[Tensor, Tensor] | None:
    """Spikes, or their pooled average, (T, B, ...), and the membrane after the last step (B, features...).

    Args:
        drive: I, (B, features...), dense; left untouched.
        steps: T.
        membrane: the neurons' constants.
        pool: side of a square average pool taken of the spikes, or None.

    Returns:
        None, with nothing written, where compiled code does not take the drive.
    """
    series = drive.unsqueeze(0)
    fused = gpu.scan("forward", series, pool)
    scan = native.scan("onchip_forward", series, pool)
    extent, most = extent_of(series, pool), (NATIVE if fused is None else TRITON).static_steps
    if (fused is None and scan is None) or extent is None or not 1 < steps <= most:
        return None
    shape, strides = (series.shape, series.stride()) if pool is None else pooled(series, pool)
    output = buffers.empty((steps, *shape[1:]), strides, drive)
    membrane_after = torch.empty_like(drive, dtype=torch.promote_types(drive.dtype, torch.float32))
    constants = membrane.decay, membrane.threshold
    if fused is not None and fused(drive, None, output, membrane_after, extent, *constants, True, False, membrane.hard):
        return output, membrane_after
    if scan is None:
        return None
    pointers = drive.data_ptr(), None, output.data_ptr(), membrane_after.data_ptr()
    scan(*pointers, steps, *extent, True, False, membrane.hard, *constants)
    return output, membrane_after


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
    """sum_t weights[t] δ[t] and sum_t δ[t], each (B, features...).

    Args:
        drive: I, (B, features...), as it was given to `forward`.
        error: g, dL/ds (T, B, ...), on the pooled grid if `pool` is given.
        membrane, surrogate, pool: as of `lif.backward`.
        weights: one number per time step.
        through_time: the errors of `lif.backward`; else those of `lif.backward_local`.

    Returns:
        None, with nothing written, where compiled code does not take the drive.
    """
    series = drive.unsqueeze(0)
    fused, scan = gpu.scan("sums", series), native.scan("onchip_static_drive", series)
    extent, formula = extent_of(series, pool), compiled(surrogate)
    most = (NATIVE if fused is None else TRITON).static_steps
    if (fused is None and scan is None) or extent is None or formula is None or not 1 < len(error) <= most:
        return None
    shape, strides = (series.shape, series.stride()) if pool is None else pooled(series, pool)
    if error.stride()[1:] != strides[1:] or error.dtype != drive.dtype:
        like = torch.empty_strided((len(error), *shape[1:]), strides, dtype=drive.dtype, device=drive.device)
        error = like.copy_(error)
    all_ones = all(weight == 1.0 for weight in weights)
    total = torch.empty_like(drive)
    plain = total if all_ones else torch.empty_like(drive)
    past = membrane.past if through_time else Past.NO_PAST
    constants = membrane.decay, membrane.threshold
    tensors = drive, error, tuple(weights), total, plain
    if fused is not None and fused(*tensors, extent, past, formula, *constants, membrane.hard):
        return total, plain
    if scan is None:
        return None
    factors = torch.tensor(weights, dtype=torch.float32)
    pointers = (tensor.data_ptr() for tensor in (drive, error, factors, total))
    written = None if all_ones else plain.data_ptr()
    scan(*pointers, written, len(error), *extent, error.stride(0), membrane.hard, past, *formula, *constants)
    return total, plain
