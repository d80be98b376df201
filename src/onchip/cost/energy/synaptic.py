"""Hardware of which nothing but the energy of a synaptic operation is published."""

from collections.abc import Mapping
from dataclasses import dataclass

from onchip.cost.energy.base import Cited, EnergyTable, UnitPrice


@dataclass(frozen=True)
class SynapticOperations(EnergyTable):
    """A price for a synaptic operation, and for nothing else.

    Every operation forward or of an error is priced as one synaptic operation. If the chip sends spikes of one size
    only, an operation with a real-valued operand (`macs_*`) costs at least that. What authors include in a synaptic
    operation differs (often a share of neurons, memory and static power), so that two of these tables differ by more
    than their chips do.

    Args:
        name: of the table.
        title: what the hardware is.
        node_nm: the CMOS technology node, in nanometers; None if it is not known.
        operation_pj: a synaptic operation, in picojoules.
    """

    name: str
    title: str
    node_nm: int | None
    operation_pj: Cited

    scope = "synaptic operations only"

    def prices(self) -> Mapping[str, UnitPrice]:
        one = UnitPrice(self.operation_pj.value)
        return dict.fromkeys(("acs_forward", "macs_forward", "acs_error", "macs_error"), one)
