"""Presets of IBM's toolkit, on a stand-in with the same attributes."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import pytest
import torch

from onchip import devices, nn, rules
from onchip.devices.aihwkit import cell_of
from onchip.devices.crossbar import Crossbar
from onchip.errors import RequestError, UnsupportedError
from tests.devices.toolkit import IdealizedPresetDevice, install


def _device(preset: str) -> Crossbar:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(300, 200), nn.Stochastic(), nn.Linear(200, 3), nn.MeanReadout())
    return devices.aihwkit(rules.ssnn_bp(model), lr=0.1, preset=preset)


def _cells(device: Crossbar) -> dict[str, torch.Tensor]:
    cells: dict[str, torch.Tensor] = device.state_dict()["cells"][0]
    return cells


@pytest.mark.parametrize("name", ["gokmen-vlasov", "GokmenVlasov", "GokmenVlasovPresetDevice"])
def test_a_preset_gives_the_numbers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    cells = _cells(_device(name))
    mean, spread = cells["up"].mean().item(), ((cells["up"] + cells["down"]) / 2).std().item()
    assert mean == pytest.approx(0.0016, rel=0.01)
    assert spread == pytest.approx(0.3 * 0.0016, rel=0.02)
    assert ((cells["up"] - cells["down"]) / 2).std().item() == pytest.approx(0.01 * 0.0016, rel=0.02)
    assert cells["upper"].mean().item() == pytest.approx(1.0, rel=0.01)
    assert cells["lower"].std().item() == pytest.approx(0.3, rel=0.02)


def test_soft_and_linear_steps_and_what_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    with pytest.warns(UserWarning, match="of preset 're-ram-sb', write_noise_std are not simulated"):
        soft = _cells(_device("re-ram-sb"))
    assert soft["upper"].mean().item() == pytest.approx(1.25, rel=0.01)
    assert soft["lower"].std().item() == pytest.approx(0.4 * 0.75, rel=0.02)
    assert torch.equal(soft["slope_up"], 1 / soft["upper"])
    with pytest.warns(UserWarning, match="'capacitor', lifetime are not simulated"):
        linear = _cells(_device("capacitor"))
    assert linear["slope_down"].mean().item() == pytest.approx(-0.05, rel=0.01)
    assert linear["slope_down"].std().item() == pytest.approx(0.01, rel=0.02)


def test_the_noise_of_a_preset_has_its_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    linear = cell_of("ecram", "poisson")
    with pytest.warns(UserWarning, match="not simulated"):
        soft = cell_of("reramsb", "binomial")
    assert (linear.softness_up, linear.softness_down, linear.cycle_spread) == (0.1153, 0.5085, 0.3)
    assert (linear.own_bounds, linear.cycle_scale, linear.thinning) == (False, "step", "poisson")
    assert (soft.softness_up, soft.softness_down, soft.cycle_spread) == (1.0, 1.0, 3.75)
    assert (soft.own_bounds, soft.cycle_scale) == (True, "quantum")


@pytest.mark.parametrize(("up_down", "up", "down"), [(0.2, 1.0, 0.8), (-0.3, 0.7, 1.0)])
def test_asymmetry_makes_the_steps_of_one_direction_smaller(
    up_down: float, up: float, down: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    bent = dataclasses.make_dataclass("BentPresetDevice", [("up_down", float, up_down)], bases=(IdealizedPresetDevice,))
    install(monkeypatch, bent)
    cells = cell_of("bent", "binomial").draw(torch.zeros(200, 300))
    assert cells["up"].mean().item() == pytest.approx(up * 2e-4, rel=0.01)
    assert cells["down"].mean().item() == pytest.approx(down * 2e-4, rel=0.01)


@pytest.mark.parametrize(
    ("preset", "error", "said"),
    [
        ("gokmen", RequestError, "unknown preset 'gokmen'; did you mean 'gokmenvlasov'"),
        ("re-ram-es", UnsupportedError, "is a ExpStepDevice, which is not simulated"),
        ("re-ram-array-om", UnsupportedError, "has dw_min_dtod_log_normal, reference_std, subtract_symmetry_point"),
    ],
)
def test_refuses_presets(preset: str, error: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    with pytest.raises(error, match=said):
        _device(preset)


def test_says_that_the_toolkit_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aihwkit", None)
    with pytest.raises(RequestError, match=r"IBM's analog toolkit, and it cannot be imported .* pip install"):
        _device("gokmen-vlasov")
