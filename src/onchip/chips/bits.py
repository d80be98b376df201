"""The number formats of a chip: bits and rounding, as simulations need them."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Literal, cast, get_args

from onchip.chips.profile import Chip
from onchip.errors import UnsupportedError

__all__ = ["Bits", "RoundingWord", "bits_of", "digest"]

RoundingWord = Literal["stochastic", "nearest", "down"]


@dataclass(frozen=True)
class Bits:
    """Bits of the numbers at a synapse; None where a number is exact, or nothing is known of it.

    Args:
        trace: Of a trace.
        signed_trace: Whether a trace has a sign beside them.
        weight: Of a weight, beside its sign.
        tag: Of a tag, beside its sign.
        rounding: How an update is rounded.
    """

    trace: int | None
    signed_trace: bool
    weight: int | None
    tag: int | None
    rounding: RoundingWord


def bits_of(chip: Chip) -> Bits:
    """The bits of a chip.

    Raises:
        UnsupportedError: Its synapses are analog, or its profile does not say how it rounds.
    """
    rounding = chip.synapses.rounding
    if rounding.value == "analog":
        raise UnsupportedError(
            f"{chip.name} has analog synapses, whose steps are no bits; use --synapses pulsed, whose options are those "
            "of analog cells"
        )
    if rounding.value not in get_args(RoundingWord):
        raise UnsupportedError(
            f"the profile of {chip.name} does not say how updates are rounded; write synapses.rounding into a chip "
            "file of your own"
        )
    return Bits(
        trace=chip.traces.bits.value,
        signed_trace=bool(chip.traces.signed.value),
        weight=chip.synapses.weight_bits.value,
        tag=chip.synapses.state_bits.value,
        rounding=cast(RoundingWord, rounding.value),
    )


def digest(chip: Chip) -> str:
    """SHA-256 of all that a profile says."""
    return hashlib.sha256(json.dumps(dataclasses.asdict(chip), sort_keys=True).encode()).hexdigest()
