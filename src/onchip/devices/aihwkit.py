"""Device presets of IBM's analog toolkit, by name."""

from __future__ import annotations

import importlib
import inspect
import warnings
from typing import Any, Literal

from onchip.devices.crossbar import Crossbar
from onchip.devices.pulses import Thinning
from onchip.devices.resistive import Resistive
from onchip.errors import RequestError, UnsupportedError, unknown_name
from onchip.learning.lr_scaling import LRScaling
from onchip.learning.rule import Rule
from onchip.runs.grammar import command_name

__all__ = ["aihwkit", "cell_of"]

ENDING = "PresetDevice"
UNKNOWN = ("lifetime", "write_noise_std", "corrupt_devices_prob", "diffusion", "gamma_up_dtod", "gamma_down_dtod")
"""What the toolkit simulates and we do not; 0 where there is none of it."""


def aihwkit(
    rule: Rule,
    *,
    lr: float,
    preset: str,
    thinning: Thinning = "binomial",
    lr_scaling: LRScaling = "equal",
    bias: Literal["cells", "digital"] = "cells",
) -> Crossbar:
    """Cells with the published parameters of a real device, as IBM's analog toolkit has them.

    The toolkit gives the numbers, and our own model of `pulsed` does the rest; the toolkit must be installed
    (`pip install aihwkit`). Presets of a constant, linear or soft-bounded step can be taken. What such a preset has
    beyond our model is named in a warning and left out; noise from pulse to pulse is always that at weight 0.

    Args:
        rule: whose updates they take; its errors must be spikes.
        lr: learning rate.
        preset: the preset's name, such as `gokmen-vlasov` for the toolkit's `GokmenVlasovPresetDevice`.
        thinning: how coincidences become pulses.
        lr_scaling: how the learning rate is shared among layers; see `onchip.learning.lr_scaling`.
        bias: whether biases lie in `cells` whose input is always on, or in `digital` memory, which is exact.

    Raises:
        RequestError: the toolkit is not installed, or has no such preset.
        UnsupportedError: a preset of another kind of step, or a rule that no pulsed device can serve.

    Reference: Rasch et al. 2021 (A flexible and fast PyTorch toolkit, AICAS).
    """
    return Crossbar(rule, cell_of(preset, thinning), lr=lr, lr_scaling=lr_scaling, bias=bias)


def cell_of(name: str, thinning: Thinning) -> Resistive:
    """The cell that a preset describes."""
    presets, kinds = _module("presets.devices"), _module("configs.devices")
    known = {_short(found): made for found, made in inspect.getmembers(presets, inspect.isclass) if ENDING in found}
    if _short(name) not in known:
        raise unknown_name("preset", name, known)
    preset = known[_short(name)]()
    softness = 0.0, 0.0
    if isinstance(preset, kinds.SoftBoundsDevice):
        softness = 1.0, 1.0
    elif isinstance(preset, kinds.LinearStepDevice):
        softness = preset.gamma_up, preset.gamma_down
    elif not isinstance(preset, kinds.ConstantStepDevice):
        raise UnsupportedError(
            f"preset {name!r} is a {type(preset).__mro__[1].__name__}, whose pulses our model does not have; expected "
            "a constant, linear or soft-bounded step. Use another preset, or devices.pulsed"
        )
    left_out = [what for what in UNKNOWN if getattr(preset, what, 0)]
    if left_out:
        warnings.warn(f"of preset {name!r}, {', '.join(left_out)} are not simulated", stacklevel=3)
    return Resistive(
        quantum=preset.dw_min,
        upper=preset.w_max,
        lower=preset.w_min,
        asymmetry=preset.up_down,
        cycle_spread=preset.dw_min_std,
        quantum_spread=preset.dw_min_dtod,
        asymmetry_spread=preset.up_down_dtod,
        upper_spread=preset.w_max_dtod,
        lower_spread=preset.w_min_dtod,
        softness_up=softness[0],
        softness_down=softness[1],
        thinning=thinning,
    )


def _module(name: str) -> Any:
    try:
        return importlib.import_module(f"aihwkit.simulator.{name}")
    except ImportError as error:
        raise RequestError(
            f"device presets need IBM's analog toolkit, and it cannot be imported ({error}); pip install aihwkit, or "
            "use devices.pulsed with numbers of your own"
        ) from error


def _short(name: str) -> str:
    """A preset's name without its case, its ending and any hyphen: GokmenVlasovPresetDevice -> gokmenvlasov."""
    return command_name(name.removesuffix(ENDING)).replace("-", "")
