"""Arithmetic and memory in 45 nm CMOS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onchip.cost.energy.base import Cited, Energy, EnergyTable

__all__ = ["CMOS45"]


@dataclass(frozen=True)
class CMOS45(EnergyTable):
    """Digital arithmetic beside a memory, 45 nm at 0.9 V.

    An operation of the bill reads its weight from memory; one of an update reads and writes the sum that it adds
    to. A neuron's update is a multiplication, an addition and a comparison, and reads and writes its state. A
    comparison is a subtraction. What is kept until the update is written and read once; a weight that is sent is
    read once and written once. A write is taken to cost what a read does, since no price is published.

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
        updates = bill["neuron_updates"]
        operations_pj = (
            add * sum(bill[f"acs_{part}"] for part in parts)
            + multiply * sum(bill[f"macs_{part}"] for part in parts)
            + (multiply + add) * updates
            + add * bill["transport_compares"]
            + multiply * bill["transport_products"]
        )
        numbers = (
            bill["operations_forward"]
            + bill["operations_error"]
            + 2 * bill["operations_update"]
            + 2 * updates
            + 2 * bill["stored_activity"]
            + 2 * bill["writes_weights"]
            + bill["writes_feedback"]
            + 2 * bill["transport_compares"]
        )
        bits = self.bits * numbers + bill["transport_value_bits"] + bill["transport_index_bits"]
        memory_pj = self.access_64bit_pj.value / 64 * bits
        return Energy(self.name, operations_pj, memory_pj, self.missing(bill, "transport_sorts", "random_draws"))
