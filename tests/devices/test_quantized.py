"""Quantized cells: their grid, their bounds and their rounding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from onchip.devices.quantized import QuantizedCell
from onchip.errors import RequestError


def _on_grid(weight: Tensor, cell: QuantizedCell) -> bool:
    state = (weight + cell.bound) / cell.quantum
    inside = bool((weight.abs() <= cell.bound * (1 + 1e-6)).all())
    return inside and bool(((state - state.round()).abs() < 1e-3).all())


@pytest.mark.parametrize("states", [2, 5, 1201])
def test_weights_stay_on_the_grid(states: int) -> None:
    torch.manual_seed(0)
    cell, weight = QuantizedCell(states=states, bound=0.5), torch.randn(40, 30)
    outside = int((weight.abs() > 0.5).sum())
    assert cell.program(weight, {}) == outside
    for scale in (0.01, 1.0, 100.0):
        cell.write(weight, {}, torch.randn_like(weight), scale, None)
        assert _on_grid(weight, cell)
        assert len(weight.unique()) <= states


def test_the_nearest_state_is_taken_first() -> None:
    cell, first = QuantizedCell(states=13, bound=0.6), torch.linspace(-0.6, 0.6, 101)
    weight = first.clone()
    assert cell.program(weight, {}) == 0
    assert float((weight - first).abs().max()) <= 0.05 + 1e-6


def test_rounding_has_the_mean_and_variance_of_a_fair_draw() -> None:
    torch.manual_seed(0)
    cell, share, cells = QuantizedCell(states=101, bound=1.0), 0.3, 200_000
    weight = torch.zeros(cells)
    cell.program(weight, {})
    start = weight.clone()
    writes = cell.write(weight, {}, torch.full_like(weight, -(2 + share) * cell.quantum), 1.0, None)
    steps = (weight - start) / cell.quantum
    # A Bernoulli draw of variance p (1 - p): five standard errors of the mean, and of the variance.
    assert abs(float(steps.mean()) - 2 - share) < 5 * (share * (1 - share) / cells) ** 0.5
    assert float(steps.var()) == pytest.approx(share * (1 - share), rel=0.02)
    assert set(steps.round().unique().tolist()) == {2.0, 3.0}
    assert bool(writes.all())


def test_only_cells_that_change_are_written() -> None:
    torch.manual_seed(0)
    cell, weight = QuantizedCell(states=11, bound=1.0), torch.full((1000,), 1.0)
    assert not cell.write(weight, {}, torch.full_like(weight, -5.0), 1.0, None).any()  # they are at the bound
    writes = cell.write(weight, {}, torch.full_like(weight, 0.02), 1.0, None)  # a tenth of a quantum
    assert 50 < int(writes.sum()) < 150
    torch.testing.assert_close(weight, torch.where(writes, 0.8, 1.0))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"states": 1}, "states=1; expected at least 2"),
        ({"bound": 0.0}, "bound=0.0"),
        ({"bound": float("inf")}, "bound=inf"),
    ],
)
def test_refuses(options: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        QuantizedCell(**options)
