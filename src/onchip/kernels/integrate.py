"""Scan of integrate-and-fire units that send as much of their potential as a probability can be, and its adjoint."""

from collections.abc import Callable

import torch
from torch import Tensor

from onchip.kernels import buffers, native
from onchip.kernels.tracing import traced


def integrate_(drive: Tensor, sums: Tensor, potential: Tensor, begun: float) -> tuple[Tensor, Tensor, Tensor]:
    """What such units send: p[t] = clip(a[t], 0, 1) with a[t] = a[t-1] - p[t-1] + I[t].

    Args:
        drive: I (T, ...); overwritten by p, unless a tracer follows.
        sums: sum of the drives before the first step, (...); overwritten by that after the last one.
        potential: a - p, likewise.
        begun: number of steps before the first one.

    Returns:
        p (T, ...); whether the mean of the drives so far is inside (0, 1), bool (T, ...); and whether p is.
    """
    scan = _scan("onchip_integrate", drive, sums, potential)
    if scan is not None:
        inside, sending = (torch.empty_like(drive, dtype=torch.bool) for _ in range(2))
        pointers = (tensor.data_ptr() for tensor in (drive, sums, potential, inside, sending))
        scan(*pointers, len(drive), sums.numel(), begun)
        return drive, inside, sending
    in_place, sent, gates = not traced(), [], []
    for t, now in enumerate(drive, start=1):
        sums.add_(now)
        potential.add_(now)
        sent.append(torch.clamp(potential, 0, 1, out=now if in_place else None))
        potential.sub_(sent[-1])
        gates.append((sums > 0).logical_and_(sums < begun + t))
    probability = drive if in_place else torch.stack(sent)
    return probability, torch.stack(gates), (probability > 0).logical_and_(probability < 1)


def integrate_adjoint(error: Tensor, sending: Tensor) -> Tensor | None:
    """dL/dI[t], the dL/dp of the first step from t on in which p is inside (0, 1), all (T, ...).

    None where there is no compiled code for these tensors.
    """
    scan = _scan("onchip_integrate_adjoint", error)
    if scan is None or error.stride() != sending.stride():
        return None
    at_drive = buffers.empty(tuple(error.shape), error.stride(), error)
    scan(error.data_ptr(), sending.data_ptr(), at_drive.data_ptr(), len(error), error[0].numel())
    return at_drive


def _scan(name: str, series: Tensor, *states: Tensor) -> Callable[..., int] | None:
    """The compiled function, if the states are float32 in the order of one step of the series."""
    scan = native.scan(name, series)
    fit = all(state.stride() == series[0].stride() and state.dtype == torch.float32 for state in states)
    return scan if fit and series.dtype == torch.float32 else None
