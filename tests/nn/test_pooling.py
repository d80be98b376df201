"""Pooling of spike times: the earliest spike of a window."""

from __future__ import annotations

import math

import pytest
import torch

from onchip import kernels
from onchip.kernels.native import Choice
from onchip.nn import EarliestPool2d
from onchip.nn.pooling import _compiled

CHOICES: tuple[Choice, Choice] = ("native", "torch")


@pytest.mark.parametrize(("side", "shape"), [(2, (4, 6)), (2, (5, 5)), (3, (7, 9)), (1, (3, 3))])
def test_it_passes_on_the_earliest_spike(side: int, shape: tuple[int, int]) -> None:
    times = torch.where(torch.rand(2, 3, *shape) < 0.6, math.inf, torch.rand(2, 3, *shape))
    expected = times.unfold(2, side, side).unfold(3, side, side).amin((-1, -2))
    assert torch.equal(EarliestPool2d(side)(times), expected)


def test_a_silent_window_stays_silent_and_sends_no_error_anywhere() -> None:
    times = torch.full((1, 1, 2, 4), math.inf)
    times[0, 0, 1, 3] = 0.5
    pooled = EarliestPool2d(2)(times.requires_grad_())
    assert pooled.flatten().tolist() == [math.inf, 0.5]
    torch.where(torch.isfinite(pooled), pooled, 0.0).sum().backward()
    assert times.grad is not None
    assert times.grad.nonzero().tolist() == [[0, 0, 1, 3]]


def test_the_error_goes_to_the_spike_that_won() -> None:
    times = torch.rand(2, 3, 4, 4, dtype=torch.float64).requires_grad_()
    pooled = EarliestPool2d(2)(times)
    pooled.backward(torch.ones_like(pooled))
    winners = torch.isin(times.detach(), pooled.detach())
    assert times.grad is not None
    assert torch.equal(times.grad, winners.double())


def test_what_is_printed_names_the_side() -> None:
    assert repr(EarliestPool2d(3)) == "EarliestPool2d(3)"


@pytest.mark.skipif(kernels.active() != "native", reason="needs a C compiler")
@pytest.mark.parametrize(
    ("side", "shape", "taken"),
    [
        (2, (2, 5, 4, 6), True),
        (3, (2, 5, 6, 9), True),
        (16, (1, 2, 16, 32), True),
        (2, (2, 5, 5, 6), False),
        (3, (2, 5, 6, 8), False),
        (17, (1, 2, 17, 17), False),
    ],
)
def test_compiled_code_takes_whole_windows_of_at_most_256_times(side: int, shape: tuple[int, ...], taken: bool) -> None:
    times = torch.rand(shape)
    assert _compiled(times.contiguous(memory_format=torch.channels_last), side) is taken
    assert not _compiled(times, side)
    assert not _compiled(times[0], side)


@pytest.mark.skipif(kernels.active() != "native", reason="needs a C compiler")
@pytest.mark.parametrize(("side", "channels"), [(2, 1), (2, 16), (3, 37), (1, 4), (4, 1100)])
def test_compiled_code_pools_bit_for_bit(side: int, channels: int) -> None:
    """Times on a grid, so that many are equal; some windows silent, one with a NaN."""
    drawn = torch.randint(0, 4, (2, channels, 2 * side, 3 * side)) / 4
    times = drawn.where(torch.rand(drawn.shape) < 0.5, math.inf)
    times[0, 0, side:, :side] = math.inf
    times[1, 0, 0, 0] = math.nan
    error = torch.randn(2, channels, 2, 3)
    found = []
    for choice in CHOICES:
        leaf = times.contiguous(memory_format=torch.channels_last).requires_grad_()
        with kernels.forced(choice):
            pooled = EarliestPool2d(side)(leaf)
            pooled.backward(error)
        assert leaf.grad is not None
        found.append((pooled.detach(), leaf.grad))
    for got, expected in zip(*found, strict=True):
        assert torch.equal(got.isnan(), expected.isnan())
        assert torch.equal(got.nan_to_num(9.0, posinf=8.0), expected.nan_to_num(9.0, posinf=8.0))
