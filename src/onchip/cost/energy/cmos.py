"""Arithmetic and memory in 45 nm CMOS."""

from collections.abc import Mapping
from dataclasses import dataclass

from onchip.cost.energy.base import Cited, Energy, EnergyTable
from onchip.errors import RequestError

_FIGURE = "Horowitz 2014, ISSCC, Computing's energy problem, figure 1.1.9 (45 nm, 0.9 V): "
_SRAM = Cited(10.0, _FIGURE + "cache of 8 kB, 64 bits")
_DRAM = Cited(1300.0, _FIGURE + "DRAM, 64 bits, the lower end of 1.3 to 2.6 nJ")
_ARITHMETIC = {
    32: (Cited(0.9, _FIGURE + "FAdd, 32 bit"), Cited(3.7, _FIGURE + "FMult, 32 bit")),
    16: (Cited(0.4, _FIGURE + "FAdd, 16 bit"), Cited(1.1, _FIGURE + "FMult, 16 bit")),
    8: (Cited(0.03, _FIGURE + "Add, 8 bit"), Cited(0.2, _FIGURE + "Mult, 8 bit")),
}


@dataclass(frozen=True)
class CMOS45(EnergyTable):
    """Digital arithmetic beside a memory, 45 nm at 0.9 V.

    An operation of the bill reads its weight from memory; one of an update reads and writes the sum that it adds
    to. A neuron's update is a multiplication and an addition for each of its states, which are read and written, and a
    comparison. A comparison is a subtraction. What is kept until the update is written and read once; a weight that is
    sent is read once and written once. A write is taken to cost what a read does, since no price is published.

    Args:
        name: of the table.
        bits: of a number.
        add_pj: an addition.
        multiply_pj: a multiplication.
        access_64bit_pj: a read of 64 bits from memory.
    """

    name: str
    bits: int
    add_pj: Cited
    multiply_pj: Cited
    access_64bit_pj: Cited

    def energy(self, bill: Mapping[str, int | float]) -> Energy:
        add, multiply = self.add_pj.value, self.add_pj.value + self.multiply_pj.value
        parts = ("forward", "error", "update")
        updates, states = bill["neuron_updates"], bill["state_updates"]
        operations_pj = (
            add * sum(bill[f"acs_{part}"] for part in parts)
            + multiply * sum(bill[f"macs_{part}"] for part in parts)
            + multiply * states
            + add * updates
            + add * bill["transport_compares"]
            + multiply * bill["transport_products"]
        )
        numbers = (
            bill["operations_forward"]
            + bill["operations_error"]
            + 2 * bill["operations_update"]
            + 2 * states
            + 2 * bill["stored_activity"]
            + 2 * bill["writes_weights"]
            + bill["writes_feedback"]
            + 2 * bill["transport_compares"]
        )
        bits = self.bits * numbers + bill["transport_value_bits"] + bill["transport_index_bits"]
        memory_pj = self.access_64bit_pj.value / 64 * bits
        return Energy(self.name, operations_pj, memory_pj, self.missing(bill, "transport_sorts", "random_draws"))


def horowitz_45nm(bits: int) -> CMOS45:
    """Arithmetic with memories of 8 kB on the chip."""
    return _priced("horowitz-45nm", bits, _SRAM)


def horowitz_45nm_dram(bits: int) -> CMOS45:
    """The same arithmetic with all memory off the chip."""
    return _priced("horowitz-45nm-dram", bits, _DRAM)


def _priced(name: str, bits: int, memory: Cited) -> CMOS45:
    if bits not in _ARITHMETIC:
        raise RequestError(
            f"{name} has no prices of {bits}-bit arithmetic; expected {', '.join(map(str, sorted(_ARITHMETIC)))}, "
            "or the table loihi"
        )
    add, multiply = _ARITHMETIC[bits]
    return CMOS45(name, bits, add, multiply, memory)
