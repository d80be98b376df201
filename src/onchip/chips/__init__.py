"""Learning hardware: the grammar of its updates, and profiles of cited facts. Imports no torch."""

from onchip.chips.facts import Fact
from onchip.chips.grammar import Expression, Factor, Product, Program, Trace
from onchip.chips.parsing import parse
from onchip.chips.profile import Chip
from onchip.chips.reading import chip, known_chips, read_chip

__all__ = [
    "Chip",
    "Expression",
    "Fact",
    "Factor",
    "Product",
    "Program",
    "Trace",
    "chip",
    "known_chips",
    "parse",
    "read_chip",
]
