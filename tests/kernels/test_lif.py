"""The scans over time: against a loop and autograd, and what they may overwrite."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from onchip.kernels.lif import Membrane, backward, backward_local, forward, unpool, weighted_sum
from onchip.surrogate import Sigmoid
from tests.oracle import slope_of

LAYOUTS = ["vectors", "maps", "maps-channels-last"]


def drive_of(layout: str, steps: int = 5) -> Tensor:
    if layout == "vectors":
        return torch.randn(steps, 3, 7, dtype=torch.float64) + 0.5
    drive = torch.randn(steps * 3, 2, 6, 4, dtype=torch.float64) + 0.5
    if layout == "maps-channels-last":
        drive = drive.contiguous(memory_format=torch.channels_last)
    return drive.unflatten(0, (steps, 3))


def looped(drive: Tensor, membrane: Membrane, rest: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    v = torch.zeros_like(drive[0]) if rest is None else rest
    spikes, potentials = [], []
    for current in drive:
        u = membrane.decay * v + current
        s = (u >= membrane.threshold).to(u.dtype)
        v = u * (1 - s) if membrane.hard else u - membrane.threshold * s
        spikes.append(s)
        potentials.append(u)
    return torch.stack(spikes), torch.stack(potentials), v


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("rested", [False, True])
def test_fire_is_the_loop(layout: str, hard: bool, rested: bool) -> None:
    membrane = Membrane(0.75, 1.0, hard, False)
    drive = drive_of(layout)
    rest = torch.rand_like(drive[0]) if rested else None
    kept = None if rest is None else rest.clone()
    expected = looped(drive, membrane, rest)
    spikes, potentials, last = forward(drive, None, membrane, rest, None)
    for got, wanted in zip((spikes, potentials, last), expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-14, atol=1e-14)
    assert 0 < spikes.mean() < 1
    assert potentials.data_ptr() == drive.data_ptr(), "the potential is to overwrite the drive"
    if rest is not None and kept is not None:
        assert torch.equal(rest, kept)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_held_drive_is_left_as_it_is(layout: str) -> None:
    membrane, drive = Membrane(0.5, 1.0, False, False), drive_of(layout)[0]
    before = drive.clone()
    spikes, potentials, last = forward(drive, 4, membrane, None, None)
    assert torch.equal(drive, before)
    for got, wanted in zip((spikes, potentials, last), looped(drive.expand(4, *drive.shape), membrane), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("layout", LAYOUTS[1:])
@pytest.mark.parametrize("static", [False, True])
def test_a_fused_pool_is_the_pool_of_the_spikes(layout: str, static: bool) -> None:
    membrane, drive = Membrane(0.5, 1.0, False, False), drive_of(layout)
    inputs = drive[0].clone() if static else drive.clone()
    spikes, _, _ = forward(inputs.clone(), 5 if static else None, membrane, None, None)
    pooled, _, _ = forward(inputs, 5 if static else None, membrane, None, 2)
    expected = F.avg_pool2d(spikes.flatten(0, 1), 2).unflatten(0, spikes.shape[:2])
    assert pooled.shape == (5, 3, 2, 3, 2)
    torch.testing.assert_close(pooled, expected, rtol=0, atol=0)


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, distance: Tensor) -> Tensor:
        ctx.save_for_backward(distance)
        return (distance >= 0).to(distance.dtype)

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> Tensor:
        return errors[0] * slope_of(Sigmoid(), ctx.saved_tensors[0])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("detach_reset", [False, True])
def test_adjoint_is_autograd_of_the_loop(layout: str, hard: bool, detach_reset: bool) -> None:
    membrane = Membrane(0.75, 0.9, hard, detach_reset)
    drive = drive_of(layout).requires_grad_()
    v, spikes = torch.zeros_like(drive[0]), []
    for current in drive:
        u = membrane.decay * v + current
        s = _Spike.apply(u - membrane.threshold)
        r = s.detach() if detach_reset else s
        v = u * (1 - r) if hard else u - membrane.threshold * r
        spikes.append(s)
    error = torch.randn_like(drive)
    (expected,) = torch.autograd.grad(torch.stack(spikes), drive, error)
    _, potentials, _ = forward(drive.detach().clone(), None, membrane, None, None)
    kept = error.clone()
    delta = backward(potentials, error, membrane, Sigmoid(), None)
    torch.testing.assert_close(delta, expected, rtol=1e-12, atol=1e-12)
    assert delta.data_ptr() == potentials.data_ptr()
    assert torch.equal(error, kept), "the error belongs to autograd"


@pytest.mark.parametrize("way", [backward, backward_local])
@pytest.mark.parametrize("layout", LAYOUTS[1:])
@pytest.mark.parametrize("hard", [False, True])
def test_the_error_of_a_fused_pool_is_spread_evenly(way: Any, layout: str, hard: bool) -> None:
    membrane, drive = Membrane(0.75, 0.9, hard, False), drive_of(layout)
    error = torch.randn(5, 3, 2, 3, 2, dtype=torch.float64)
    spread = error.repeat_interleave(2, -1).repeat_interleave(2, -2) / 4
    _, potentials, _ = forward(drive, None, membrane, None, 2)
    expected = way(potentials.clone(), spread, membrane, Sigmoid(), None)
    torch.testing.assert_close(way(potentials, error, membrane, Sigmoid(), 2), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_local_is_the_surrogate_at_each_step(layout: str) -> None:
    membrane = Membrane(0.75, 0.9, False, False)
    potentials, error = drive_of(layout), torch.randn_like(drive_of(layout))
    expected = slope_of(Sigmoid(), potentials - 0.9) * error
    torch.testing.assert_close(backward_local(potentials, error, membrane, Sigmoid(), None), expected)


@pytest.mark.parametrize("layout", LAYOUTS[1:])
def test_unpool_is_the_derivative_of_the_pool(layout: str) -> None:
    wide = drive_of(layout)[0].requires_grad_()
    error = torch.randn(3, 2, 3, 2, dtype=torch.float64)
    (expected,) = torch.autograd.grad(F.avg_pool2d(wide, 2), wide, error)
    buffer = torch.full_like(wide.detach(), torch.nan)
    assert unpool(error, 2, buffer) is buffer
    torch.testing.assert_close(buffer, expected)
    assert unpool(error, None, buffer) is error


def test_errors_that_are_expanded_views_are_only_read() -> None:
    """The gradient of a mean over time is one row, seen T times."""
    membrane = Membrane(0.5, 1.0, False, False)
    for way in (backward, backward_local):
        drive = drive_of("vectors")
        row = torch.randn(3, 7, dtype=torch.float64)
        expected = way(drive.clone(), row.repeat(5, 1, 1), membrane, Sigmoid(), None)
        assert torch.equal(way(drive, row.expand(5, 3, 7), membrane, Sigmoid(), None), expected)


def test_nan_comes_through() -> None:
    membrane = Membrane(0.5, 1.0, False, False)
    drive = torch.ones(3, 1, 2)
    drive[0, 0, 0] = torch.nan
    _, potentials, kept = forward(drive, None, membrane, None, None)
    assert kept.isnan().tolist() == [[True, False]]
    assert backward(potentials, torch.ones(3, 1, 2), membrane, Sigmoid(), None).isnan().any(0).tolist() == [
        [True, False]
    ]


@settings(max_examples=20, deadline=None)
@given(weights=st.lists(st.floats(-3, 3), min_size=1, max_size=6))
def test_weighted_sum(weights: list[float]) -> None:
    series = torch.randn(len(weights), 2, 3, dtype=torch.float64)
    before = series.clone()
    expected = torch.einsum("t,tbn->bn", torch.tensor(weights, dtype=torch.float64), series)
    torch.testing.assert_close(weighted_sum(series, weights), expected)
    assert torch.equal(series, before)
