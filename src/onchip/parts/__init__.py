"""Parts of rules that several methods share."""

from onchip.parts.code import Real
from onchip.parts.schedule import Doubling
from onchip.parts.separate import Copied, Random
from onchip.parts.signs import SignSymmetric
from onchip.parts.temporal import Online, ThroughTime
from onchip.parts.transposed import Transposed

__all__ = ["Copied", "Doubling", "Online", "Random", "Real", "SignSymmetric", "ThroughTime", "Transposed"]
