"""Device presets of IBM's analog toolkit, by name."""

import importlib
import inspect
import warnings
from typing import Any, Literal

from onchip.devices.crossbar import Crossbar
from onchip.devices.pulses import Thinning
from onchip.devices.resistive import ResistiveCell
from onchip.errors import RequestError, UnsupportedError, unknown_name
from onchip.learning.lr_scaling import LRScaling
from onchip.learning.rule import Rule
from onchip.runs.grammar import command_name

ENDING = "PresetDevice"
NOT_SIMULATED = ("lifetime", "write_noise_std", "corrupt_devices_prob", "diffusion", "gamma_up_dtod", "gamma_down_dtod")
"""Effects that the toolkit simulates and `pulsed` does not; 0 in a preset without the effect."""


def aihwkit(
    rule: Rule,
    *,
    lr: float,
    preset: str,
    thinning: Thinning = "binomial",
    lr_scaling: LRScaling = "equal",
    bias: Literal["cells", "digital"] = "cells",
) -> Crossbar:
    """Cells with the published parameters of a real device, from IBM's analog toolkit.

    The parameters come from the toolkit, which must be installed (`pip install aihwkit`), and the model is that of
    `pulsed`. Presets with a constant, linear or soft-bounded step are supported. A warning names the effects of a
    preset that are not simulated; the variation from pulse to pulse is always that at weight 0.

    Args:
        rule: Rule whose updates are written; its errors must be spikes.
        lr: Learning rate, at least 0.
        preset: Name of the preset, such as `gokmen-vlasov` for the toolkit's `GokmenVlasovPresetDevice`.
        thinning: How pulses are drawn from coincidences, `binomial` or `poisson`.
        lr_scaling: How the learning rate is shared among layers; see `onchip.learning.lr_scaling`.
        bias: Whether biases are in `cells` whose input is always on, or in exact `digital` memory.

    Raises:
        RequestError: the toolkit is not installed, or does not have this preset.
        UnsupportedError: the preset has another kind of step, or the rule's errors are not spikes.

    Reference: Rasch et al. 2021 (A flexible and fast PyTorch toolkit, AICAS).
    """
    return Crossbar(rule, cell_of(preset, thinning), lr=lr, lr_scaling=lr_scaling, bias=bias)


def cell_of(name: str, thinning: Thinning) -> ResistiveCell:
    """The cell with the parameters of a preset."""
    presets, kinds = _module("presets.devices"), _module("configs.devices")
    classes = inspect.getmembers(presets, inspect.isclass)
    known = {_short(class_name): preset for class_name, preset in classes if ENDING in class_name}
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
            f"preset {name!r} is a {type(preset).__mro__[1].__name__}, which is not simulated; expected "
            "a constant, linear or soft-bounded step. Use another preset, or devices.pulsed"
        )
    ignored = [effect for effect in NOT_SIMULATED if getattr(preset, effect, 0)]
    if ignored:
        warnings.warn(f"of preset {name!r}, {', '.join(ignored)} are not simulated", stacklevel=3)
    return ResistiveCell(
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
            "use devices.pulsed with your own parameters"
        ) from error


def _short(name: str) -> str:
    """Name of a preset in lower case, without ending and hyphens: GokmenVlasovPresetDevice -> gokmenvlasov."""
    return command_name(name.removesuffix(ENDING)).replace("-", "")
