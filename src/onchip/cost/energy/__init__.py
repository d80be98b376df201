"""Energy tables: published prices by which the counts of a ledger become joules. Imports no torch."""

from onchip.cost.energy.base import Cited, Energy, EnergyTable, UnitPrice
from onchip.cost.energy.cmos import CMOS45, horowitz_45nm, horowitz_45nm_dram
from onchip.cost.energy.loihi import Loihi, loihi
from onchip.cost.energy.published import NOT_PUBLISHED, PUBLISHED
from onchip.cost.energy.synaptic import SynapticOperations
from onchip.cost.energy.work import NO_WORK, WORK, in_words
from onchip.errors import RequestError, unknown_name

__all__ = [
    "CMOS45",
    "NOT_PUBLISHED",
    "NO_WORK",
    "PUBLISHED",
    "TABLES",
    "WORK",
    "Cited",
    "Energy",
    "EnergyTable",
    "Loihi",
    "SynapticOperations",
    "UnitPrice",
    "in_words",
    "known_tables",
    "table",
]

TABLES = [horowitz_45nm, horowitz_45nm_dram, loihi]
"""Functions from the bits of a number to a table, which users call by their names with hyphens.

A new table is one file with such a function, and its name in this list; a chip of which only the energy of a synaptic
operation is known is one line in `published.py`.
"""


def known_tables() -> list[str]:
    """Names of the tables."""
    return [*(make.__name__.replace("_", "-") for make in TABLES), *(chip.name for chip in PUBLISHED)]


def table(name: str, *, bits: int = 32) -> EnergyTable:
    """A table by its name.

    Args:
        name: One of `known_tables()`.
        bits: The bits of a number; tables of chips are at the chip's own precision.

    Raises:
        RequestError: There is no such table, or it has no prices at that precision.

    Example:
        >>> table("loihi").name
        'loihi'
    """
    for make in TABLES:
        if make.__name__.replace("_", "-") == name:
            return make(bits)
    for chip in PUBLISHED:
        if chip.name == name:
            return chip
    if name in NOT_PUBLISHED:
        raise RequestError(f"no hardware table {name!r}: {NOT_PUBLISHED[name]}; expected {', '.join(known_tables())}")
    raise unknown_name("hardware table", name, known_tables())
