"""A stand-in for IBM's analog toolkit, version 1.1.0: some of its classes, with the attributes that we read.

`test_real_toolkit.py` compares each of them with the toolkit's own class where it is installed.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType

import pytest

__all__ = ["KINDS", "PRESETS", "install"]


@dataclass
class PulsedDevice:
    corrupt_devices_prob: float = 0.0
    diffusion: float = 0.0
    dw_min: float = 0.001
    dw_min_dtod: float = 0.3
    dw_min_dtod_log_normal: bool = False
    dw_min_std: float = 0.3
    enforce_consistency: bool = True
    lifetime: float = 0.0
    perfect_bias: bool = False
    up_down: float = 0.0
    up_down_dtod: float = 0.01
    w_max: float = 0.6
    w_max_dtod: float = 0.3
    w_min: float = -0.6
    w_min_dtod: float = 0.3


@dataclass
class ConstantStepDevice(PulsedDevice):
    pass


@dataclass
class LinearStepDevice(PulsedDevice):
    gamma_up: float = 0.0
    gamma_down: float = 0.0
    gamma_up_dtod: float = 0.05
    gamma_down_dtod: float = 0.05
    allow_increasing: bool = False
    mean_bound_reference: bool = True
    mult_noise: bool = True
    write_noise_std: float = 0.0
    reverse_up: bool = False
    reverse_down: bool = False


@dataclass
class SoftBoundsDevice(PulsedDevice):
    mult_noise: bool = True
    write_noise_std: float = 0.0
    reverse_up: bool = False
    reverse_down: bool = False


@dataclass
class SoftBoundsReferenceDevice(PulsedDevice):
    mult_noise: bool = False
    write_noise_std: float = 0.0
    slope_up_dtod: float = 0.0
    slope_down_dtod: float = 0.0
    reference_mean: float = 0.0
    reference_std: float = 0.0
    subtract_symmetry_point: bool = False


@dataclass
class ExpStepDevice(PulsedDevice):
    pass


@dataclass
class IdealizedPresetDevice(ConstantStepDevice):
    dw_min: float = 0.0002
    w_max: float = 1.0
    w_min: float = -1.0
    up_down_dtod: float = 0.0


@dataclass
class GokmenVlasovPresetDevice(ConstantStepDevice):
    dw_min: float = 0.0016
    w_max: float = 1.0
    w_min: float = -1.0


@dataclass
class CapacitorPresetDevice(LinearStepDevice):
    dw_min: float = 0.005
    w_max: float = 1.0
    w_min: float = -1.0
    mult_noise: bool = False
    gamma_up: float = 0.05
    gamma_down: float = 0.05
    dw_min_dtod: float = 0.1
    up_down_dtod: float = 0.06
    w_max_dtod: float = 0.07
    w_min_dtod: float = 0.07
    gamma_up_dtod: float = 0.01
    gamma_down_dtod: float = 0.01
    lifetime: float = 1e6


@dataclass
class EcRamPresetDevice(LinearStepDevice):
    dw_min: float = 0.002
    w_max: float = 1.1724
    w_min: float = -0.8276
    gamma_up: float = 0.1153
    gamma_down: float = 0.5085
    dw_min_dtod: float = 0.1
    w_max_dtod: float = 0.05
    w_min_dtod: float = 0.05


@dataclass
class ReRamSBPresetDevice(SoftBoundsReferenceDevice):
    dw_min: float = 0.002
    w_max: float = 1.25
    w_min: float = -0.75
    w_max_dtod: float = 0.3 / 1.25
    w_min_dtod: float = 0.3 / 0.75
    dw_min_std: float = 3.75
    write_noise_std: float = 56


@dataclass
class ReRamArrayOMPresetDevice(SoftBoundsReferenceDevice):
    dw_min: float = 0.0949
    dw_min_dtod: float = 0.7829
    dw_min_dtod_log_normal: bool = True
    dw_min_std: float = 0.4158
    w_max: float = 1.0
    w_max_dtod: float = 0.3499
    w_min: float = -1.0
    w_min_dtod: float = 0.5695
    write_noise_std: float = 1.4113
    reference_std: float = 0.05
    subtract_symmetry_point: bool = True


@dataclass
class ReRamESPresetDevice(ExpStepDevice):
    dw_min: float = 0.00135
    dw_min_dtod: float = 0.2
    dw_min_std: float = 5.0
    up_down: float = 0.259359
    up_down_dtod: float = 0.05
    w_max: float = 1.0
    w_min: float = -1.0


KINDS = (
    *(PulsedDevice, ConstantStepDevice, LinearStepDevice, SoftBoundsDevice),
    *(SoftBoundsReferenceDevice, ExpStepDevice),
)
PRESETS = (
    *(IdealizedPresetDevice, GokmenVlasovPresetDevice, CapacitorPresetDevice, EcRamPresetDevice),
    *(ReRamSBPresetDevice, ReRamArrayOMPresetDevice, ReRamESPresetDevice),
)


def install(patch: pytest.MonkeyPatch, *own: type) -> None:
    """Makes the stand-in, with the test's own presets, what `import aihwkit...` finds until the test is over."""
    configs, presets = (ModuleType(f"aihwkit.simulator.{name}.devices") for name in ("configs", "presets"))
    for module, classes in (
        (configs, KINDS),
        (presets, (*KINDS, *PRESETS, *own)),
    ):  # the presets' module imports the kinds
        for one in classes:
            setattr(module, one.__name__, one)
        patch.setitem(sys.modules, module.__name__, module)
    for name in ("aihwkit", "aihwkit.simulator", "aihwkit.simulator.configs", "aihwkit.simulator.presets"):
        patch.setitem(sys.modules, name, ModuleType(name))
