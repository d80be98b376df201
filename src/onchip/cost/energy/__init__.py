"""Prices of operations, from the literature: what a bill of the ledger costs in joules. Imports no torch."""

from __future__ import annotations

from onchip.cost.energy.base import Cited, Energy, EnergyTable
from onchip.cost.energy.cmos import CMOS45
from onchip.cost.energy.loihi import Loihi
from onchip.errors import RequestError, unknown_name

__all__ = ["CMOS45", "Cited", "Energy", "EnergyTable", "Loihi", "known_tables", "table"]

_FIGURE = "Horowitz 2014, ISSCC, Computing's energy problem, figure 1.1.9 (45 nm, 0.9 V): "
_SRAM = Cited(10.0, _FIGURE + "cache of 8 kB, 64 bits")
_DRAM = Cited(1300.0, _FIGURE + "DRAM, 64 bits, the lower end of 1.3 to 2.6 nJ")
_ARITHMETIC = {
    32: (Cited(0.9, _FIGURE + "FAdd, 32 bit"), Cited(3.7, _FIGURE + "FMult, 32 bit")),
    16: (Cited(0.4, _FIGURE + "FAdd, 16 bit"), Cited(1.1, _FIGURE + "FMult, 16 bit")),
    8: (Cited(0.03, _FIGURE + "Add, 8 bit"), Cited(0.2, _FIGURE + "Mult, 8 bit")),
}
_TABLE = "Davies et al. 2018, IEEE Micro 38(1), Loihi: a neuromorphic manycore processor, table 1: "
_LOIHI = Loihi(
    "loihi",
    synapse_pj=Cited(23.6, _TABLE + "energy per synaptic spike op (min)"),
    update_pj=Cited(120.0, _TABLE + "energy per synaptic update (pairwise STDP)"),
    active_neuron_pj=Cited(81.0, _TABLE + "energy per neuron update, active"),
    idle_neuron_pj=Cited(52.0, _TABLE + "energy per neuron update, inactive"),
    spike_pj=Cited(1.7, _TABLE + "within-tile spike energy"),
)
_MEMORY = {"horowitz-45nm": _SRAM, "horowitz-45nm-dram": _DRAM}


def known_tables() -> list[str]:
    """Names of the tables."""
    return [*_MEMORY, _LOIHI.name]


def table(name: str, *, bits: int = 32) -> EnergyTable:
    """A table by its name.

    Args:
        name: `horowitz-45nm` (arithmetic beside memories of 8 kB), `horowitz-45nm-dram` (the same, all of memory
            off the chip) or `loihi` (at its own precision).
        bits: of a number.

    Raises:
        RequestError: there is no such table, or no price at that precision.

    Example:
        >>> table("horowitz-45nm").add_pj.value
        0.9
    """
    if name == _LOIHI.name:
        return _LOIHI
    if name not in _MEMORY:
        raise unknown_name("hardware table", name, known_tables())
    if bits not in _ARITHMETIC:
        raise RequestError(
            f"{name} has no prices of {bits}-bit arithmetic; expected {', '.join(map(str, sorted(_ARITHMETIC)))}, "
            f"or the table {_LOIHI.name}"
        )
    add, multiply = _ARITHMETIC[bits]
    return CMOS45(name, bits, add, multiply, _MEMORY[name])
