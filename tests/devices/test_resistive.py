"""Each fault of a resistive cell against its formula."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from onchip import devices, nn, rules
from onchip.devices.resistive import ResistiveCell
from onchip.errors import RequestError

CELLS = 20_000


def _written(cell: ResistiveCell, up: float, down: float, start: float = 0.0) -> tuple[Tensor, dict[str, Tensor]]:
    """Weights after that many pulses up and down, and the cells."""
    torch.manual_seed(0)
    weight = torch.full((CELLS,), start, dtype=torch.float64)
    cells = cell.draw(weight)
    cell.program(weight, cells)
    met = torch.tensor([up, down], dtype=torch.float64).view(2, 1).expand(2, CELLS)
    writes = cell.write(weight, cells, met, lr=cell.quantum, unit=1.0)  # each coincidence is one pulse
    assert bool((writes == up + down).all())
    return weight, cells


def _means(drawn: Tensor, mean: float, deviation: float, samples: int = 1) -> None:
    """Mean and standard deviation of normal numbers, each within five standard errors (of both, if 2 are samples)."""
    error = 5 * (samples / len(drawn)) ** 0.5
    assert abs(float(drawn.mean()) - mean) <= deviation * error + 1e-12
    assert float(drawn.std()) == pytest.approx(deviation, rel=error / 2**0.5, abs=1e-8)


def test_pulses_move_by_a_quantum() -> None:
    weight, _ = _written(ResistiveCell(quantum=0.01), up=7, down=3)
    torch.testing.assert_close(weight, torch.full_like(weight, 0.04))


def test_asymmetry_drives_weights_where_the_gradient_is_zero() -> None:
    weight, _ = _written(ResistiveCell(quantum=0.01, asymmetry_up=0.2, asymmetry_down=0.2), up=5, down=5)
    torch.testing.assert_close(weight, torch.full_like(weight, 10 * 0.2 * 0.01))


def test_the_spread_from_pulse_to_pulse_grows_with_the_root_of_their_number() -> None:
    weight, _ = _written(ResistiveCell(quantum=0.01, cycle_spread=0.3), up=9, down=7)
    _means(weight, 0.02, 0.3 * 0.01 * 16**0.5)
    assert not torch.equal(weight[:100], weight[100:200])


@pytest.mark.parametrize(("up", "down"), [(9, 0), (0, 9), (8, 4)])
def test_the_spread_of_a_pulse_is_a_share_of_its_own_step(up: int, down: int) -> None:
    cell = ResistiveCell(quantum=0.01, cycle_spread=0.3, asymmetry_up=0.5, asymmetry_down=0.5)
    weight, cells = _written(cell, up=up, down=down)
    steps = cells["up"][0].item(), cells["down"][0].item()
    assert steps[0] > 2 * steps[1]
    _means(weight, up * steps[0] - down * steps[1], 0.3 * (up * steps[0] ** 2 + down * steps[1] ** 2) ** 0.5)


def test_the_spread_of_the_quantum_is_fixed_for_a_cell() -> None:
    cell = ResistiveCell(quantum=0.01, quantum_spread=0.1)
    weight, cells = _written(cell, up=5, down=0)
    _means(weight, 0.05, 0.05 * 0.1)
    again, _ = _written(cell, up=10, down=0)
    torch.testing.assert_close(again, 2 * weight)
    torch.testing.assert_close(cells["up"], cells["down"])


def test_the_spread_of_asymmetry_parts_up_from_down() -> None:
    weight, cells = _written(
        ResistiveCell(quantum=0.01, asymmetry_up=0.05, asymmetry_down=0.05, asymmetry_spread=0.02), up=4, down=4
    )
    _means(weight, 8 * 0.05 * 0.01, 8 * 0.02 * 0.01)
    torch.testing.assert_close(cells["up"] + cells["down"], torch.full_like(weight, 0.02))


def test_a_step_of_negative_size_is_none() -> None:
    _, cells = _written(ResistiveCell(quantum_spread=2.0), up=1, down=1)
    # A normal number is below -1/2 with probability 0.3085.
    assert float((cells["up"] == 0).double().mean()) == pytest.approx(0.3085, abs=5 * (0.3085 * 0.6915 / CELLS) ** 0.5)
    assert float(cells["up"].min()) == 0


def test_bounds_are_kept_and_spread() -> None:
    cell = ResistiveCell(quantum=0.1, upper=0.5, lower=-0.3, upper_spread=0.1, lower_spread=0.2)
    up, cells = _written(cell, up=50, down=0)
    assert torch.equal(up, cells["upper"])
    _means(up, 0.5, 0.05)
    down, _ = _written(cell, up=0, down=50)
    _means(down, -0.3, 0.06)


def _one_by_one(cell: ResistiveCell, up: int, down: int, start: float) -> Tensor:
    """The toolkit's equation for one pulse, applied pulse by pulse, in turn as evenly as possible."""
    weight = torch.full((CELLS,), start, dtype=torch.float64)
    for pulse in range(up + down):
        rises = (pulse + 1) * up // (up + down) > pulse * up // (up + down)
        sign, bound = (1, cell.upper) if rises else (-1, cell.lower)
        step = cell.quantum * (1 + (cell.asymmetry_up if rises else -cell.asymmetry_down))
        share = 1 - (cell.softness_up if rises else cell.softness_down) * weight / bound
        noise = cell.cycle_spread * torch.randn_like(weight)
        share = share * (1 + noise) if cell.cycle_scale == "step" else share + noise
        weight = (weight + sign * step * share).clamp(cell.lower, cell.upper)
    return weight


NOISY: dict[str, Any] = {
    "quantum": 0.01,
    "upper": 0.5,
    "lower": -0.4,
    "cycle_spread": 0.4,
    "asymmetry_up": 0.1,
    "asymmetry_down": 0.2,
}
LINEAR = {**NOISY, "quantum": 0.002, "softness_up": 0.3, "softness_down": 0.6}
SOFT = {**NOISY, "softness_up": 1.0, "softness_down": 1.0}


@pytest.mark.parametrize(("up", "down"), [(100, 0), (0, 100), (50, 50), (70, 30), (1, 0)])
@pytest.mark.parametrize(
    "options",
    [LINEAR, {**LINEAR, "cycle_scale": "quantum"}, SOFT, {**SOFT, "cycle_scale": "quantum"}, {**SOFT, "quantum": 0.1}],
)
def test_pulses_in_one_write_are_as_many_single_pulses(options: dict[str, Any], up: int, down: int) -> None:
    cell = ResistiveCell(**options)
    weight, _ = _written(cell, up=up, down=down, start=0.2)
    truth = _one_by_one(cell, up, down, 0.2)
    _means(weight, float(truth.mean()), max(float(truth.std()), 1e-9), samples=2)


@pytest.mark.parametrize(("up", "down"), [(100, 0), (0, 100), (50, 50)])
def test_pulses_in_one_write_are_as_many_single_pulses_of_constant_size(up: int, down: int) -> None:
    """Pulses of constant size are added up first, which is exact as long as no pulse meets a bound."""
    cell = ResistiveCell(**{**NOISY, "quantum": 0.001, "cycle_spread": 1.0})
    weight, _ = _written(cell, up=up, down=down, start=0.1)
    truth = _one_by_one(cell, up, down, 0.1)
    _means(weight, float(truth.mean()), float(truth.std()), samples=2)


def test_cells_get_their_own_numbers_of_pulses() -> None:
    cell = ResistiveCell(quantum=0.01, softness_up=1.0, softness_down=1.0)
    weight = torch.zeros(2, 3)
    cells = cell.draw(weight)
    met = torch.tensor([[[0.0, 1.0, 5.0], [2.0, 0.0, 3.0]], [[0.0, 0.0, 0.0], [0.0, 1.0, 3.0]]])
    cell.write(weight, cells, met, lr=cell.quantum, unit=1.0)
    for place in range(6):
        alone = torch.zeros(1)
        one = {name: values.flatten()[place : place + 1] for name, values in cells.items()}
        cell.write(alone, one, met.view(2, 6)[:, place : place + 1], lr=cell.quantum, unit=1.0)
        assert torch.equal(weight.flatten()[place], alone[0])


def test_soft_bounds_are_never_passed_and_reached_in_the_limit() -> None:
    cell = ResistiveCell(quantum=0.05, upper=0.5, lower=-0.4, softness_up=1.0, softness_down=1.0)
    for up, down, limit, near in ((500, 0, 0.5, 1e-6), (0, 500, -0.4, 1e-6), (500, 500, 0.0, cell.quantum / 2)):
        weight, _ = _written(cell, up=up, down=down, start=0.1)
        torch.testing.assert_close(weight, torch.full_like(weight, limit), rtol=0, atol=near)


@pytest.mark.parametrize("place", ["initial", "zero", "bound"])
def test_stuck_cells_stay_where_they_are(place: Any) -> None:
    cell = ResistiveCell(quantum=0.01, stuck=0.1, stuck_at=place, upper_spread=0.1)
    weight, cells = _written(cell, up=3, down=0, start=0.2)
    stuck = cells["stuck"]
    assert float(stuck.double().mean()) == pytest.approx(0.1, abs=5 * (0.09 / CELLS) ** 0.5)
    torch.testing.assert_close(weight[~stuck], torch.full_like(weight[~stuck], 0.23))
    held = weight[stuck]
    if place == "initial":
        assert bool((held == 0.2).all())
    elif place == "zero":
        assert bool((held == 0.0).all())
    else:
        upper, lower = held == cells["upper"][stuck], held == cells["lower"][stuck]
        assert bool((upper | lower).all())
        assert float(upper.double().mean()) == pytest.approx(0.5, abs=5 * 0.5 / len(held) ** 0.5)


def test_first_weights_beyond_the_bounds_are_cut_off_and_said() -> None:
    def trained(bound: float) -> tuple[nn.Sequential, Any]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(100, 20), nn.Stochastic(), nn.Linear(20, 3), nn.MeanReadout())
        return model, devices.pulsed(rules.ssnn_bp(model), lr=0.1, bound=bound)

    trained(0.3)  # torch draws from ±1/√100 and ±1/√20, which lies inside
    with pytest.warns(UserWarning, match=r"4\d% of the initial weights are outside the bounds of the cells"):
        model, _ = trained(0.06)
    assert max(float(p.detach().abs().max()) for p in model.parameters()) == pytest.approx(0.06)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"quantum": 0.7}, "quantum=0.7; expected a number above 0 that is no larger than the bound, 0.6"),
        ({"quantum": 0.0}, "quantum=0.0"),
        ({"upper": 0.0}, "bounds=-0.6 and 0.0; expected one on each side of 0"),
        ({"cycle_spread": -0.1}, "cycle_spread=-0.1; expected a standard deviation of at least 0"),
        ({"quantum_spread": float("nan")}, "quantum_spread=nan"),
        ({"lower_spread": -1.0}, "lower_spread=-1.0"),
        ({"asymmetry_up": 1.5}, r"asymmetry=1.5; expected a number of quanta in \[-1, 1\]"),
        ({"softness_down": 2.0}, r"softness_down=2.0; expected a share in \[0, 1\]"),
        ({"stuck": -0.5}, "stuck=-0.5"),
        ({"stuck_at": "nowhere"}, "unknown stuck_at 'nowhere'"),
        ({"thinning": "gauss"}, "unknown thinning 'gauss'"),
    ],
)
def test_refuses(options: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        ResistiveCell(**options)
