"""Presets against IBM's analog toolkit itself, where it is installed."""

from __future__ import annotations

import dataclasses
import importlib
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

from onchip.devices.aihwkit import cell_of
from onchip.devices.resistive import ResistiveCell
from onchip.errors import UnsupportedError
from tests.devices.toolkit import KINDS, PRESETS

pytest.importorskip("aihwkit.simulator.presets.devices", exc_type=ImportError)

SHAPE = (200, 300)
HIDDEN = {"dwmin_up": "up", "dwmin_down": "down", "max_bound": "upper", "min_bound": "lower"}
"""What a tile of the toolkit calls the properties of its cells, and what we call them."""
SUPPORTED = ("capacitor", "ecram", "ecrammo", "gokmenvlasov", "idealized", "reramsb")


def real(module: str, name: str) -> Any:
    return getattr(importlib.import_module(f"aihwkit.simulator.{module}.devices"), name)


def hidden(device: Any) -> dict[str, Tensor]:
    """The properties that the toolkit draws for an array of cells."""
    configs, tiles = (importlib.import_module(f"aihwkit.simulator.{name}") for name in ("configs", "tiles"))
    drawn: dict[str, Tensor] = tiles.AnalogTile(*SHAPE, configs.SingleRPUConfig(device=device)).get_hidden_parameters()
    return drawn


def ours(cell: ResistiveCell) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return cell.draw(torch.zeros(SHAPE))


def alike(one: Tensor, other: Tensor) -> None:
    """Two samples of one distribution: mean, spread and quartiles, within five standard errors."""
    error = float(other.std()) / other.numel() ** 0.5 * 2**0.5
    assert float(one.mean() - other.mean()) == pytest.approx(0.0, abs=5 * error + 1e-9)
    assert float(one.std()) == pytest.approx(float(other.std()), abs=10 * error + 1e-9)  # folded normals have tails
    for share in (0.001, 0.25, 0.75):
        assert float(one.quantile(share) - other.quantile(share)) == pytest.approx(0.0, abs=100 * error + 1e-9)


def converted(name: str) -> ResistiveCell:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*are not simulated")
        return cell_of(name, "binomial")


@pytest.mark.parametrize("copy", [*KINDS, *PRESETS], ids=lambda copy: copy.__name__)
def test_the_stand_in_is_a_copy(copy: type) -> None:
    own = real("configs" if copy in KINDS else "presets", copy.__name__)
    assert {base.__name__ for base in copy.__mro__} <= {base.__name__ for base in own.__mro__}
    original = own()
    for field in dataclasses.fields(copy):
        if copy in PRESETS or field.name in copy.__annotations__:
            assert getattr(original, field.name) == pytest.approx(getattr(copy(), field.name)), field.name


@pytest.mark.parametrize("name", SUPPORTED)
def test_cells_of_a_preset_are_drawn_from_the_toolkits_distribution(name: str) -> None:
    presets = importlib.import_module("aihwkit.simulator.presets.devices")
    (kind,) = (found for found in dir(presets) if found.lower() == f"{name}presetdevice")
    theirs, cells = hidden(getattr(presets, kind)()), ours(converted(name))
    for other, own in HIDDEN.items():
        alike(cells[own], theirs[other])
    if "slope_up" in theirs:  # theirs are absolute, ours relative to the step
        alike(-cells["slope_up"] * cells["up"], theirs["slope_up"])
        alike(-cells["slope_down"] * cells["down"], theirs["slope_down"])


@pytest.mark.parametrize("up_down", [-0.3, 0.2])
@pytest.mark.parametrize("kind", ["ConstantStepDevice", "LinearStepDevice", "SoftBoundsDevice"])
def test_asymmetry_means_what_it_means_there(kind: str, up_down: float, monkeypatch: pytest.MonkeyPatch) -> None:
    presets = importlib.import_module("aihwkit.simulator.presets.devices")
    made = dataclasses.make_dataclass("OursPresetDevice", [("up_down", float, up_down)], bases=(real("configs", kind),))
    monkeypatch.setattr(presets, "OursPresetDevice", made, raising=False)
    theirs, cells = hidden(real("configs", kind)(up_down=up_down)), ours(converted("ours"))
    for other, own in HIDDEN.items():
        alike(cells[own], theirs[other])
    assert float(theirs["dwmin_up"].mean()) == pytest.approx(1e-3 * (1 + min(0.0, up_down)), rel=0.01)
    assert float(theirs["dwmin_down"].mean()) == pytest.approx(1e-3 * (1 - max(0.0, up_down)), rel=0.01)


def test_all_other_presets_are_refused() -> None:
    presets = importlib.import_module("aihwkit.simulator.presets.devices")
    names = {name.lower().removesuffix("presetdevice") for name in dir(presets) if name.endswith("PresetDevice")}
    assert names >= set(SUPPORTED)
    for name in names - set(SUPPORTED):
        with pytest.raises(UnsupportedError, match="which is not simulated"):
            cell_of(name, "binomial")
