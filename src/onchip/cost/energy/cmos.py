"""Arithmetic and memory in 45 nm CMOS."""

from collections.abc import Mapping
from dataclasses import dataclass

from onchip.cost.energy.base import Cited, EnergyTable, UnitPrice
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
        title: what the hardware is.
        bits: of a number.
        add_pj: an addition.
        multiply_pj: a multiplication.
        access_64bit_pj: a read of 64 bits from memory.
    """

    name: str
    title: str
    bits: int
    add_pj: Cited
    multiply_pj: Cited
    access_64bit_pj: Cited

    scope = "arithmetic and memory"

    def prices(self) -> Mapping[str, UnitPrice]:
        add, multiply = self.add_pj.value, self.add_pj.value + self.multiply_pj.value
        bit = self.access_64bit_pj.value / 64
        number = self.bits * bit
        accesses = {"forward": 1, "error": 1, "update": 2}  # of numbers in memory, for each operation
        return {
            **{f"acs_{part}": UnitPrice(add, times * number) for part, times in accesses.items()},
            **{f"macs_{part}": UnitPrice(multiply, times * number) for part, times in accesses.items()},
            "neuron_updates": UnitPrice(add),
            "state_updates": UnitPrice(multiply, 2 * number),
            "stored_activity": UnitPrice(0.0, 2 * number),
            "writes_weights": UnitPrice(0.0, 2 * number),
            "writes_feedback": UnitPrice(0.0, number),
            "transport_value_bits": UnitPrice(0.0, bit),
            "transport_index_bits": UnitPrice(0.0, bit),
            "transport_compares": UnitPrice(add, 2 * number),
            "transport_products": UnitPrice(multiply),
        }


def horowitz_45nm(bits: int) -> CMOS45:
    """Arithmetic with memories of 8 kB on the chip."""
    return _priced("horowitz-45nm", "arithmetic in 45 nm CMOS with memories of 8 kB on the chip", bits, _SRAM)


def horowitz_45nm_dram(bits: int) -> CMOS45:
    """The same arithmetic with all memory off the chip."""
    return _priced("horowitz-45nm-dram", "the same arithmetic with all memory off the chip", bits, _DRAM)


def _priced(name: str, title: str, bits: int, memory: Cited) -> CMOS45:
    if bits not in _ARITHMETIC:
        raise RequestError(
            f"{name} has no prices of {bits}-bit arithmetic; expected {', '.join(map(str, sorted(_ARITHMETIC)))}, "
            "or the table of a chip, such as loihi"
        )
    add, multiply = _ARITHMETIC[bits]
    return CMOS45(name, title, bits, add, multiply, memory)
