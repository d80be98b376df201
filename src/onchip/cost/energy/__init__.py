"""Energy tables: published prices by which the counts of a ledger become joules. Imports no torch."""

from onchip.cost.energy.base import Cited, Energy, EnergyTable
from onchip.cost.energy.cmos import CMOS45, horowitz_45nm, horowitz_45nm_dram
from onchip.cost.energy.loihi import Loihi, loihi
from onchip.errors import unknown_name

__all__ = ["CMOS45", "TABLES", "Cited", "Energy", "EnergyTable", "Loihi", "known_tables", "table"]

TABLES = [horowitz_45nm, horowitz_45nm_dram, loihi]
"""Functions from the bits of a number to a table, which users call by their names with hyphens.

A new table is one file with such a function, and its name in this list.
"""


def known_tables() -> list[str]:
    """Names of the tables."""
    return [make.__name__.replace("_", "-") for make in TABLES]


def table(name: str, *, bits: int = 32) -> EnergyTable:
    """A table by its name.

    Args:
        name: One of `known_tables()`.
        bits: The bits of a number.

    Raises:
        RequestError: There is no such table, or it has no prices at that precision.

    Example:
        >>> table("loihi").name
        'loihi'
    """
    known = dict(zip(known_tables(), TABLES, strict=True))
    if name not in known:
        raise unknown_name("hardware table", name, known_tables())
    return known[name](bits)
