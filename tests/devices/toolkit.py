"""A stand-in for IBM's analog toolkit: modules with the attributes that its presets have, and no more."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType

import pytest

__all__ = ["install"]


@dataclass
class PulsedDevice:
    dw_min: float = 0.001
    dw_min_dtod: float = 0.3
    dw_min_std: float = 0.3
    up_down: float = 0.0
    up_down_dtod: float = 0.01
    w_max: float = 0.6
    w_min: float = -0.6
    w_max_dtod: float = 0.3
    w_min_dtod: float = 0.3
    lifetime: float = 0.0
    write_noise_std: float = 0.0
    corrupt_devices_prob: float = 0.0
    diffusion: float = 0.0


@dataclass
class ConstantStepDevice(PulsedDevice):
    pass


@dataclass
class LinearStepDevice(PulsedDevice):
    gamma_up: float = 0.0
    gamma_down: float = 0.0
    gamma_up_dtod: float = 0.05
    gamma_down_dtod: float = 0.05


@dataclass
class SoftBoundsDevice(PulsedDevice):
    pass


@dataclass
class ExpStepDevice(PulsedDevice):
    pass


@dataclass
class PlainPresetDevice(ConstantStepDevice):
    """Without a fault."""

    dw_min_dtod: float = 0.0
    dw_min_std: float = 0.0
    up_down_dtod: float = 0.0
    w_max_dtod: float = 0.0
    w_min_dtod: float = 0.0


@dataclass
class GokmenVlasovPresetDevice(ConstantStepDevice):
    dw_min: float = 0.0016
    w_max: float = 1.0
    w_min: float = -1.0


@dataclass
class ReRamSBPresetDevice(SoftBoundsDevice):
    dw_min: float = 0.002
    w_max: float = 1.25
    w_min: float = -0.75
    w_max_dtod: float = 0.24
    w_min_dtod: float = 0.4
    dw_min_std: float = 3.75
    write_noise_std: float = 56


@dataclass
class EcRamPresetDevice(LinearStepDevice):
    dw_min: float = 0.002
    w_max: float = 1.1724
    w_min: float = -0.8276
    gamma_up: float = 0.1153
    gamma_down: float = 0.5085


@dataclass
class ReRamESPresetDevice(ExpStepDevice):
    up_down: float = 0.259359


def install(patch: pytest.MonkeyPatch) -> None:
    """Makes the stand-in what `import aihwkit...` finds, until the test is over."""
    configs, presets = (ModuleType(f"aihwkit.simulator.{name}.devices") for name in ("configs", "presets"))
    kinds = (PulsedDevice, ConstantStepDevice, LinearStepDevice, SoftBoundsDevice, ExpStepDevice)
    made = (PlainPresetDevice, GokmenVlasovPresetDevice, ReRamSBPresetDevice, EcRamPresetDevice, ReRamESPresetDevice)
    for module, classes in ((configs, kinds), (presets, (*kinds, *made))):  # the presets' module imports the kinds
        for one in classes:
            setattr(module, one.__name__, one)
        patch.setitem(sys.modules, module.__name__, module)
    for name in ("aihwkit", "aihwkit.simulator", "aihwkit.simulator.configs", "aihwkit.simulator.presets"):
        patch.setitem(sys.modules, name, ModuleType(name))
