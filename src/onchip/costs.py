"""What a run paid, taken from its record: the columns of a table and the axes of a figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from onchip.records import Record

__all__ = ["COSTS", "Cost", "traffic"]


@dataclass(frozen=True)
class Cost:
    """One kind of cost.

    Args:
        name: a word for it, in names of files.
        column: head of its column in a table; None has no column.
        axis: label of its axis in a figure; None has no figure.
        of: a run's record -> the cost; None where the record does not hold it, as older ones may not.
    """

    name: str
    column: str | None
    axis: str | None
    of: Callable[[Record], float | None]


def _a_step(*counts: str) -> Callable[[Record], float | None]:
    """Counts of the ledger, added, for a training step."""

    def of(record: Record) -> float | None:
        return _shared(record, counts, record.ledger.get("steps", 0))

    return of


def _a_sample(*counts: str) -> Callable[[Record], float | None]:
    """Counts of the ledger, added, for a sample that went through training."""

    def of(record: Record) -> float | None:
        return _shared(record, counts, len(record.history) * record.train_size)

    return of


def _shared(record: Record, counts: tuple[str, ...], among: float) -> float | None:
    if among <= 0 or any(count not in record.ledger for count in counts):
        return None
    return sum(record.ledger[count] for count in counts) / among


WEIGHTS = Cost(
    "weights",
    "weights moved / step",
    "weights moved to the feedback path, a training step",
    _a_step("weights_transported"),
)
BITS = Cost(
    "bits",
    "bits moved / step",
    "bits moved to the feedback path, a training step",
    _a_step("transport_value_bits", "transport_index_bits"),
)
COSTS = (
    WEIGHTS,
    BITS,
    Cost("forward", "forward / sample", None, _a_sample("products_forward")),
    Cost("error", "error / sample", None, _a_sample("products_error")),
    Cost("update", "update / sample", None, _a_sample("products_update")),
    Cost(
        "products",
        None,
        "synaptic products, a training sample",
        _a_sample("products_forward", "products_error", "products_update"),
    ),
)
"""Every kind of cost, in the order of the columns."""


def traffic(records: list[Record]) -> Cost:
    """The cost that a Pareto front is drawn against: bits moved, or weights where older records know no bits."""
    return BITS if all(BITS.of(record) is not None for record in records) else WEIGHTS
