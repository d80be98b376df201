"""What a table of prices is, and what it makes of a bill."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from onchip.cost.energy.work import WORK


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
class UnitPrice:
    """What one unit of a count costs.

    Args:
        operations_pj: arithmetic, or synapses and neurons where a chip prices those, in picojoules.
        memory_pj: traffic between memory and arithmetic, in picojoules.
        included_in: the count whose published price includes this one; empty if it has a price of its own.
    """

    operations_pj: float = 0.0
    memory_pj: float = 0.0
    included_in: str = ""


@dataclass(frozen=True)
class Energy:
    """What a bill costs by one table.

    Args:
        table: its name; no joule is shown without it.
        scope: what the table prices; no sum is shown without it.
        operations_pj: arithmetic, or synapses and neurons where a chip prices those, in picojoules.
        memory_pj: traffic between memory and arithmetic, in picojoules.
        unpriced: counts of work that are not 0 in the bill and have no price, so that they are in no sum.
    """

    table: str
    scope: str
    operations_pj: float
    memory_pj: float
    unpriced: tuple[str, ...]

    @property
    def total_pj(self) -> float:
        """What the table prices, memory traffic included, in picojoules; a lower bound if there is `unpriced` work."""
        return self.operations_pj + self.memory_pj


class EnergyTable(ABC):
    """Published prices of one kind of hardware.

    Energy is linear in the counts of a bill. A count of work that `prices` does not name is unpriced: it is in no sum,
    and every sum names it.
    """

    name: str
    """What the table is called on the command line and beside every joule."""

    title: str
    """What the hardware is."""

    scope: ClassVar[str]
    """What the table prices, in a few words that end the phrase `energy of ...`."""

    @abstractmethod
    def prices(self) -> Mapping[str, UnitPrice]:
        """Prices by the names of counts, all of which are in `WORK`."""

    def energy(self, bill: Mapping[str, int | float]) -> Energy:
        """What a bill costs.

        Args:
            bill: counts by the names of `Ledger.summary`.

        Raises:
            KeyError: the bill lacks a count that has a price.
        """
        own = {count: price for count, price in self.prices().items() if not price.included_in}
        return Energy(
            self.name,
            self.scope,
            sum(price.operations_pj * bill[count] for count, price in own.items()),
            sum(price.memory_pj * bill[count] for count, price in own.items()),
            self.unpriced(bill),
        )

    def can_price(self, bill: Mapping[str, int | float]) -> bool:
        """Whether a bill, which may be that of an earlier version, has all counts that have a price of their own."""
        return all(count in bill or price.included_in for count, price in self.prices().items())

    def unpriced(self, bill: Mapping[str, int | float]) -> tuple[str, ...]:
        """Counts of work that are not 0 in a bill and have no price."""
        prices = self.prices()
        return tuple(count for count in WORK if count not in prices and bill.get(count))

    def sources(self) -> dict[str, Cited]:
        """The published numbers of the table, by the names of its fields."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Cited)}
