"""What a table of prices is, and what it makes of a bill."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Cited:
    """A number and where it was published.

    Args:
        value: the number, in the unit that the field's name ends with.
        source: paper, table or figure, and what it is called there.
    """

    value: float
    source: str


@dataclass(frozen=True)
class Energy:
    """What a bill costs by one table.

    Args:
        table: its name; no joule is shown without it.
        operations_pj: arithmetic, or synapses and neurons where a chip prices those, in picojoules.
        memory_pj: traffic between memory and arithmetic, in picojoules.
        unpriced: what the bill counts and the table has no price for.
    """

    table: str
    operations_pj: float
    memory_pj: float
    unpriced: tuple[str, ...]

    @property
    def total_pj(self) -> float:
        """Operations and memory, in picojoules."""
        return self.operations_pj + self.memory_pj


class EnergyTable(ABC):
    """Published prices of one kind of hardware."""

    name: str
    """What the table is called on the command line and beside every joule."""

    @abstractmethod
    def energy(self, bill: Mapping[str, int | float]) -> Energy:
        """What a bill costs.

        Args:
            bill: counts by the names of `Ledger.summary`.
        """

    @staticmethod
    def missing(bill: Mapping[str, int | float], *counts: str) -> tuple[str, ...]:
        """Of these counts, the ones that the bill has and the table has no price for."""
        return tuple(count for count in counts if bill[count])
