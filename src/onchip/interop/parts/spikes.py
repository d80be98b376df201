"""What nodes of spiking neurons have in common: verdict, threshold and gain."""

from collections.abc import Sequence

import numpy as np

from onchip.errors import UnsupportedError
from onchip.interop.conventions import Conventions, Numbers
from onchip.interop.parts.base import Found
from onchip.interop.parts.constants import shared, spread
from onchip.interop.verdict import Word


def judged(conventions: Conventions, hard: bool, constants: Sequence[Numbers]) -> tuple[Word, str]:
    """Verdict on neurons: whether the reader takes their reset and their constants.

    Args:
        conventions: Those of the reader.
        hard: Whether the reset is hard.
        constants: By neuron; the threshold first where there is one.
    """
    reader = conventions.reader
    if not reader.maps and constants[0].ndim > 1:
        return "unsupported", f"{reader.name} {reader.version} takes no neurons in maps (C, H, W)"
    checked = constants if reader.uniform else constants[:1] if reader.scalar_threshold else ()
    if any(shared(values) is None for values in checked):
        return "unsupported", f"{reader.name} {reader.version} wants one constant for all neurons of a node"
    if reader.resets == "hard" and not hard:
        return "approximate", "NIR has no soft reset: written as a hard one; our import restores the soft one"
    if reader.resets == "soft" and hard:
        return "approximate", f"{reader.name} resets by subtraction, whatever the file says"
    return "faithful", ""


def neurons(
    found: Found, shape: tuple[int, ...], conventions: Conventions, gain: Numbers, leak: Numbers
) -> tuple[float, Numbers, Numbers]:
    """Threshold, and gain and shift of the drive, of spiking neurons of ours that fire as those of a node do.

    The potential of the file divided by its gain is ours, unless thresholds then differ between neurons; these are
    brought to 1.

    Args:
        found: The node.
        shape: Shape of the neurons.
        conventions: What its numbers mean.
        gain: Factor on its input, by neuron.
        leak: Constant that is added to the potential at each step.

    Raises:
        UnsupportedError: A reset to another value than 0, a threshold that is not positive, or an input that counts
            for nothing.
    """
    if "v_reset" in vars(found.node) and spread(found, "v_reset", shape).any():
        raise UnsupportedError(f"{found.kind} {found.name!r} resets to v_reset other than 0; expected 0")
    fired_at = conventions.read_threshold(spread(found, "v_threshold", shape))
    if not ((gain > 0) & (fired_at > 0) & np.isfinite(fired_at / gain)).all():
        raise UnsupportedError(
            f"{found.kind} {found.name!r} has a threshold of {fired_at.min():g} and a gain of {gain.min():g}; expected "
            "positive numbers"
        )
    unit = shared(gain) is not None and abs(float(gain.flat[0]) - 1.0) < 1e-6
    thresholds = fired_at if unit else fired_at / gain
    shift = leak / gain
    threshold = shared(thresholds)
    if threshold is not None:
        exact = found.memory["threshold"] if found.agrees("threshold", threshold) else threshold
        return float(exact), np.ones(()), shift
    return 1.0, 1.0 / thresholds, shift
