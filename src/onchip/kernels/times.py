"""Neurons that fire at most once, at times in closed form: in compiled code, or in plain torch."""

import torch
from torch import Tensor

from onchip.kernels import native


def fired_and_times(times: Tensor) -> Tensor:
    """Of spike times (B, features...), inf = silent: 1 where a neuron fired, and the time or 0, (2, B, features...)."""
    split = native.scan("onchip_planes", times.unsqueeze(0))
    if split is None:
        fired = (times < torch.inf).to(times.dtype)
        # An inf must not meet the factor 0. Joined along the batch, a channels_last layout stays as it is.
        values = times.clamp(max=torch.finfo(times.dtype).max) * fired
        return torch.cat([fired, values]).unflatten(0, (2, -1))
    both = times.new_empty(2 * times.numel()).as_strided((2, *times.shape), (times.numel(), *times.stride()))
    split(times.data_ptr(), both[0].data_ptr(), both[1].data_ptr(), times.numel())
    return both


def cross(sums: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """When potentials cross their threshold.

    Args:
        sums: S and I stacked, (2, B, features...); left untouched.
        clip: bound on each partial derivative.

    Returns:
        Spike times (B, features...), inf = silent, and dt/dS and dt/dI stacked, (2, B, features...).
    """
    total, delay = sums
    partials = torch.empty_like(sums)
    by_sum, by_time = partials
    crossed = native.scan("onchip_cross", sums)
    if crossed is not None:
        times = torch.empty_like(total)
        tensors = total, delay, times, by_sum, by_time
        crossed(*(tensor.data_ptr() for tensor in tensors), total.numel(), clip)
        return times, partials
    # Gates as numbers: products with 0 and 1 take a fraction of the time of torch.where.
    start = torch.sub(total, delay).ge_(1.0)
    fires = torch.add(delay, total, alpha=-2.0).lt_(0.0)
    mid = (1.0 - start).mul_(fires)
    # 1 + S > 0 holds wherever mid does; elsewhere 1 keeps the division harmless.
    torch.mul(total, mid, out=by_time).add_(1.0).reciprocal_()
    crossing = (2.0 + delay).mul_(by_time)
    torch.mul(crossing, by_time, out=by_sum).clamp_(max=clip).mul_(mid).neg_()
    by_time.clamp_(max=clip).mul_(mid)
    times = crossing.sub_(1.0).clamp_(0.0, 1.0).mul_(mid)
    silent = mid.add_(start).reciprocal_().sub_(1.0)  # 1 / fired - 1: 0 where a neuron fires, else inf
    return times.add_(silent), partials
