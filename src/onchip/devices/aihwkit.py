"""Device presets of IBM's analog toolkit, by name."""

import importlib
import inspect
import warnings
from typing import Any, Literal

from onchip._types import checked
from onchip.devices.crossbar import Crossbar
from onchip.devices.pulses import CycleScale, Thinning
from onchip.devices.resistive import ResistiveCell
from onchip.errors import RequestError, UnsupportedError, unknown_name
from onchip.learning.lr_scaling import LRScaling
from onchip.learning.rule import Rule
from onchip.runs.grammar import command_name

ENDING = "PresetDevice"
NOT_SIMULATED = ("lifetime", "write_noise_std", "corrupt_devices_prob", "diffusion")
"""Effects that the toolkit simulates beside the step of a pulse and that are left out; 0 in a preset without them."""
OTHER_STEP = (
    *("dw_min_dtod_log_normal", "perfect_bias", "allow_increasing", "reverse_up", "reverse_down"),
    *("slope_up_dtod", "slope_down_dtod", "reference_mean", "reference_std", "subtract_symmetry_point"),
)
"""Attributes that change the step of a pulse into one that is not simulated; 0 or False in other presets."""


@checked
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
    `pulsed`, with the toolkit's equations for a pulse and for the variation from cell to cell. Presets with a constant,
    linear or soft-bounded step are supported. A warning names the effects of a preset that are not simulated.

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
    step: dict[str, Any] = {}
    if isinstance(preset, (kinds.SoftBoundsDevice, kinds.SoftBoundsReferenceDevice)):
        step = {"softness_up": 1.0, "softness_down": 1.0, "cycle_scale": _cycle_scale(preset)}
    elif isinstance(preset, kinds.LinearStepDevice):
        step = {
            "softness_up": preset.gamma_up,
            "softness_down": preset.gamma_down,
            "softness_spread_up": preset.gamma_up_dtod,
            "softness_spread_down": preset.gamma_down_dtod,
            "own_bounds": not preset.mean_bound_reference,
            "cycle_scale": _cycle_scale(preset),
        }
    elif not isinstance(preset, kinds.ConstantStepDevice):
        raise UnsupportedError(
            f"preset {name!r} is a {type(preset).__mro__[1].__name__}, which is not simulated; expected "
            "a constant, linear or soft-bounded step. Use another preset, or devices.pulsed"
        )
    if other := [effect for effect in OTHER_STEP if getattr(preset, effect, 0)]:
        raise UnsupportedError(
            f"preset {name!r} has {', '.join(other)}, which is not simulated; use another preset, or devices.pulsed"
        )
    if ignored := [effect for effect in NOT_SIMULATED if getattr(preset, effect, 0)]:
        warnings.warn(f"of preset {name!r}, {', '.join(ignored)} are not simulated", stacklevel=3)
    return ResistiveCell(
        quantum=preset.dw_min,
        upper=preset.w_max,
        lower=preset.w_min,
        # The toolkit makes the steps of one direction smaller and leaves those of the other.
        asymmetry_up=min(0.0, preset.up_down),
        asymmetry_down=max(0.0, preset.up_down),
        cycle_spread=preset.dw_min_std,
        quantum_spread=preset.dw_min_dtod,
        asymmetry_spread=preset.up_down_dtod,
        upper_spread=preset.w_max_dtod,
        lower_spread=preset.w_min_dtod,
        folded=preset.enforce_consistency,
        thinning=thinning,
        **step,
    )


def _cycle_scale(preset: Any) -> CycleScale:
    return "step" if preset.mult_noise else "quantum"


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
