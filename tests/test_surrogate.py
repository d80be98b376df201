"""Surrogate derivatives: each against its formula, its documented peak and its documented area."""

from __future__ import annotations

import math

import pytest
import torch

from onchip import surrogate
from onchip.errors import RequestError
from onchip.surrogate import ATan, FastSigmoid, Rectangle, Sigmoid, Surrogate, Triangle
from tests.oracle import slope_of

OPTION = {"Sigmoid": "slope", "ATan": "alpha", "FastSigmoid": "slope", "Triangle": "width", "Rectangle": "width"}
ALL = [getattr(surrogate, name)(**{option: value}) for name, option in OPTION.items() for value in (0.7, 2.0)]


def psi(surrogate: Surrogate, x: torch.Tensor) -> torch.Tensor:
    return surrogate.gate_(x.clone(), torch.ones_like(x))


def test_every_export_is_tried() -> None:
    assert {*OPTION, "Surrogate"} == set(surrogate.__all__)


@pytest.mark.parametrize("surrogate", ALL, ids=repr)
def test_the_gate_is_the_formula_times_the_error_in_one_buffer(surrogate: Surrogate) -> None:
    distance, error = torch.linspace(-5, 5, 1001, dtype=torch.float64), torch.randn(1001, dtype=torch.float64)
    expected, kept = slope_of(surrogate, distance) * error, error.clone()
    gated = surrogate.gate_(distance, error)
    assert gated.data_ptr() == distance.data_ptr()
    torch.testing.assert_close(gated, expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(error, kept)


@pytest.mark.parametrize(
    ("surrogate", "peak"),
    [(Sigmoid(), 1.0), (Sigmoid(2.0), 0.5), (ATan(), 1.0), (ATan(3.0), 1.5), (FastSigmoid(), 1.0), (Triangle(2.0), 0.5),
     (Rectangle(), 1.0), (Rectangle(4.0), 0.25)],
    ids=repr,
)  # fmt: skip
def test_the_peak_is_at_the_threshold(surrogate: Surrogate, peak: float) -> None:
    values = psi(surrogate, torch.linspace(-3, 3, 601, dtype=torch.float64))
    assert values.max().item() == pytest.approx(peak)
    assert values[300].item() == pytest.approx(peak)
    assert torch.allclose(values, values.flip(0))


@pytest.mark.parametrize("surrogate", [Sigmoid(), ATan(), Triangle(1.5), Rectangle(0.5)], ids=repr)
def test_the_area_is_one(surrogate: Surrogate) -> None:
    """Each of these is the derivative of a function that rises from 0 to 1."""
    x = torch.linspace(-300, 300, 300_001, dtype=torch.float64)
    assert torch.trapezoid(psi(surrogate, x), x).item() == pytest.approx(1.0, abs=5e-3)


@pytest.mark.parametrize("surrogate", ALL, ids=repr)
def test_far_from_the_threshold_nothing_overflows(surrogate: Surrogate) -> None:
    far = psi(surrogate, torch.tensor([-1e30, -1e4, 1e4, 1e30]))
    assert bool(torch.isfinite(far).all())
    assert far.max() < 1e-3
    assert psi(surrogate, torch.tensor([math.nan])).isnan().all() or isinstance(surrogate, Rectangle)


@pytest.mark.parametrize("name", OPTION)
@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_options_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(RequestError, match=f"{name} got {OPTION[name]}={value}; expected a positive, finite number"):
        getattr(surrogate, name)(**{OPTION[name]: value})
