"""Parts of rules that several methods share."""

from onchip.parts.code import Real
from onchip.parts.coincidence import Coincidences, Counts
from onchip.parts.schedule import Balanced, Doubling, Schedule
from onchip.parts.separate import Copied, Random
from onchip.parts.signs import SignSymmetric
from onchip.parts.spikes import Spikes
from onchip.parts.temporal import Online, ThroughTime
from onchip.parts.transposed import Transposed

__all__ = [
    "Balanced",
    "Coincidences",
    "Copied",
    "Counts",
    "Doubling",
    "Online",
    "Random",
    "Real",
    "Schedule",
    "SignSymmetric",
    "Spikes",
    "ThroughTime",
    "Transposed",
]
