"""Pooling of spike times: the earliest spike of a window."""

from __future__ import annotations

import math

import pytest
import torch

from onchip.nn import EarliestPool2d


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
