"""Presets of IBM's toolkit, on a stand-in with the same attributes."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch

from onchip import devices, nn, rules
from onchip.devices.crossbar import Crossbar
from onchip.errors import RequestError, UnsupportedError
from tests.devices.toolkit import install


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
    with pytest.warns(UserWarning, match="'ecram', gamma_up_dtod, gamma_down_dtod are not simulated"):
        _device("ecram")


def test_softness_reaches_the_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    from onchip.devices.aihwkit import cell_of

    with pytest.warns(UserWarning, match="not simulated"):
        linear, soft = cell_of("ecram", "binomial"), cell_of("reramsb", "poisson")
    assert (linear.softness_up, linear.softness_down, linear.cycle_spread) == (0.1153, 0.5085, 0.3)
    assert (soft.softness_up, soft.softness_down, soft.cycle_spread, soft.thinning) == (1.0, 1.0, 3.75, "poisson")


@pytest.mark.parametrize(
    ("preset", "error", "said"),
    [
        ("gokmen", RequestError, "unknown preset 'gokmen'; did you mean 'gokmenvlasov'"),
        ("re-ram-es", UnsupportedError, "is a ExpStepDevice, which is not simulated"),
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
