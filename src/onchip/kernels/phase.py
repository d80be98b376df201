"""Scan of integrate-and-fire units that begin at a given phase and send signed spikes."""

import torch
from torch import Tensor

from onchip.kernels import buffers, native
from onchip.kernels.running import sum_


def phase(numbers: Tensor, begin: Tensor, steps: int | None = None) -> tuple[Tensor, Tensor]:
    """Spikes of units that accumulate a number, and fire whenever the sum passes a whole number.

        spike[t] = floor(u[t]) - floor(u[t-1]),   u[t] = u[t-1] + number[t],   u[0] in [0, 1)

    Args:
        numbers: in [-1, 1], (T, ...); or (...), the same for `steps` steps. They may be overwritten.
        begin: u[0], (...); overwritten.
        steps: T where each unit has one number, else None.

    Returns:
        Spikes -1, 0 or 1 (T, ...), and the fraction of the last sum (...), to go on from.
    """
    static = steps is not None
    series = numbers.unsqueeze(0) if static else numbers
    scan = native.scan("onchip_phase", series)
    if scan is not None and begin.stride() == series[0].stride() and begin.dtype == torch.float32:
        total = steps if steps is not None else len(series)
        shape, strides = (total, *series.shape[1:]), (begin.numel(), *series.stride()[1:])
        spikes = buffers.empty(shape, strides, series)
        pointers = (tensor.data_ptr() for tensor in (series, begin, spikes))
        scan(*pointers, total, begin.numel(), static)
        return spikes, begin
    if steps is not None:
        numbers = numbers.expand(steps, *numbers.shape).clone()
    begun = begin.floor()
    sums = sum_(numbers, before=begin)
    # The fraction alone goes on: a long stream would else run out of digits.
    fraction = sums[-1] - sums[-1].floor()
    passed = sums.floor_()
    spikes = passed.clone()
    spikes[0].sub_(begun)
    spikes[1:].sub_(passed[:-1])
    return spikes, fraction
