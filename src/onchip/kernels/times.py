"""Neurons that fire at most once, at times in closed form: in compiled code, or in plain torch."""

from typing import Any

import torch
from torch import Tensor

from onchip.kernels import native
from onchip.kernels.table import compiled
from onchip.kernels.tracing import scripted
from onchip.surrogate import Surrogate


def fired_and_times(times: Tensor) -> Tensor:
    """Of spike times (B, features...), inf = silent: 1 where a neuron fired, and the time or 0, (2, B, features...).

    The error at the second part is the error at the times, at those of silent neurons, too: see `TTFS`.
    """
    if times.requires_grad and torch.is_grad_enabled() and not scripted():
        split: Tensor = _Split.apply(times)
        return split
    return _split(times)


class _Split(torch.autograd.Function):
    """The parts, with the error at the times as their derivative; torch's own would be 0 at silent neurons."""

    @staticmethod
    def forward(ctx: Any, times: Tensor) -> Tensor:
        return _split(times)

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> Tensor:
        return error[1]


def _split(times: Tensor) -> Tensor:
    split = native.scan("onchip_planes", times.unsqueeze(0))
    if split is None:
        fired = (times < torch.inf).to(times.dtype)
        # An inf must not meet the factor 0. Joined along the batch, a channels_last layout stays as it is.
        values = times.clamp(max=torch.finfo(times.dtype).max) * fired
        return torch.cat([fired, values]).unflatten(0, (2, -1))
    both = times.new_empty(2 * times.numel()).as_strided((2, *times.shape), (times.numel(), *times.stride()))
    split(times.data_ptr(), both[0].data_ptr(), both[1].data_ptr(), times.numel())
    return both


def cross(sums: Tensor, clip: float, surrogate: Surrogate | None = None) -> tuple[Tensor, Tensor]:
    """When potentials cross their threshold.

    Args:
        sums: S and I stacked, (2, B, features...); left untouched.
        clip: bound on each partial derivative.
        surrogate: what the derivative of firing adds to them; None for nothing.

    Returns:
        Spike times (B, features...), inf = silent, and dt/dS and dt/dI stacked, (2, B, features...).
    """
    times, partials = _cross(sums, clip)
    if surrogate is not None:
        _add_firing(sums, surrogate, partials)
    return times, partials


def _add_firing(sums: Tensor, surrogate: Surrogate, partials: Tensor) -> None:
    """Adds the derivative of firing to dt/dS and dt/dI: -ψ(u) times that of u = 2S - I."""
    (total, delay), (by_total, by_delay) = sums, partials
    entry, add = compiled(surrogate), native.scan("onchip_add_firing", sums)
    if entry is not None and add is not None:
        add(*(tensor.data_ptr() for tensor in (total, delay, by_total, by_delay)), total.numel(), *entry)
        return
    firing = surrogate.gate_(2.0 * total - delay, torch.ones_like(total))
    by_total.sub_(firing, alpha=2.0)
    by_delay.add_(firing)


def _cross(sums: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    total, delay = sums
    crossed = native.scan("onchip_cross", sums)
    if crossed is not None:
        times, partials = torch.empty_like(total), torch.empty_like(sums)
        tensors = total, delay, times, *partials
        crossed(*(tensor.data_ptr() for tensor in tensors), total.numel(), clip)
        return times, partials
    # Gates as numbers: products with 0 and 1 take a fraction of the time of torch.where.
    start = (total - delay).ge(1.0).to(total.dtype)
    mid = (1.0 - start) * torch.add(delay, total, alpha=-2.0).lt(0.0)
    # 1 + S > 0 holds wherever mid does; elsewhere 1 keeps the division harmless.
    slope = (total * mid + 1.0).reciprocal()
    crossing = (2.0 + delay) * slope
    partials = torch.stack([-((crossing * slope).clamp(max=clip) * mid), slope.clamp(max=clip) * mid])
    silent = (mid + start).reciprocal() - 1.0  # 1 / fired - 1: 0 where a neuron fires, else inf
    return (crossing - 1.0).clamp(0.0, 1.0) * mid + silent, partials
