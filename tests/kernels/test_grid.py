"""Rounding to grids: fair, within bounds, and without effect on what is on the grid."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onchip.kernels.grid import Rounding, power_of_two, rounded


def test_each_way_of_rounding() -> None:
    values = torch.tensor([-1.75, -0.5, -0.25, 0.0, 0.2, 0.5, 0.75, 9.0])
    down = rounded(values, 0.5, -3, 4, rounding="down")
    assert down.tolist() == [-1.5, -0.5, -0.5, 0.0, 0.0, 0.5, 0.5, 2.0]  # -2 and 9 saturate
    nearest = rounded(values, 0.5, -8, 8, rounding="nearest")
    assert nearest.tolist() == [-1.5, -0.5, 0.0, 0.0, 0.0, 0.5, 1.0, 4.0]


def test_stochastic_rounding_has_the_mean_and_variance_of_a_fair_draw() -> None:
    count, share = 200_000, 0.3
    drawn = rounded(
        torch.full((count,), -(2 + share) / 8),
        1 / 8,
        -100,
        100,
        rounding="stochastic",
        generator=torch.Generator().manual_seed(0),
    )
    steps = -drawn * 8
    assert set(steps.unique().tolist()) == {2.0, 3.0}
    assert abs(float(steps.mean()) - 2 - share) < 5 * (share * (1 - share) / count) ** 0.5
    assert float(steps.var()) == pytest.approx(share * (1 - share), rel=0.02)


@pytest.mark.parametrize("rounding", ["stochastic", "nearest", "down"])
def test_values_on_the_grid_stay(rounding: Rounding) -> None:
    torch.manual_seed(0)
    values = torch.arange(-255, 256).repeat(2000) * 2.0**-7  # a million draws: the largest float below 1 is among them
    assert torch.equal(rounded(values, 2.0**-7, -255, 255, rounding=rounding), values)


@given(st.floats(1e-30, 1e30))
def test_powers_of_two(value: float) -> None:
    power = float(power_of_two(torch.tensor(value, dtype=torch.float64)))
    assert math.frexp(power)[0] == 0.5
    assert power / 2 < value <= power


def test_powers_of_two_stay_and_zero_gives_one() -> None:
    values = torch.tensor([2.0**-20, 1.0, 2.0, 0.0])
    assert power_of_two(values).tolist() == [2.0**-20, 1.0, 2.0, 1.0]
