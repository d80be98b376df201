"""What a run paid, taken from its record: the columns of a table and the axes of a figure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onchip.runs.record import Record


@dataclass(frozen=True)
class Cost:
    """One kind of cost.

    Args:
        name: a word for it, in names of files.
        column: head of its column in a table; None has no column.
        axis: label of its axis in a figure; None has no figure.
        of: a run's record -> the cost; None where the record does not hold it, as older ones may not.
        detail: whether its figure is for readers who want to know more.
        table: the energy table that it is computed by; empty if it is no energy.
    """

    name: str
    column: str | None
    axis: str | None
    of: Callable[[Record], float | None]
    detail: bool = False
    table: str = ""


def _per_step(*counts: str) -> Callable[[Record], float | None]:
    """Counts of the ledger, added, per training step."""
    return lambda record: _shared(_sum(record, counts), record.ledger.get("steps", 0))


def _per_sample(*counts: str) -> Callable[[Record], float | None]:
    """Counts of the ledger, added, per training sample."""
    return lambda record: per_sample(record, _sum(record, counts))


def per_sample(record: Record, total: float | None) -> float | None:
    """A total over a run, per training sample; None if there is none."""
    return _shared(total, len(record.history) * record.train_size)


def _shared(total: float | None, among: float) -> float | None:
    return None if total is None or among <= 0 else total / among


def _sum(record: Record, counts: tuple[str, ...]) -> float | None:
    return sum(record.ledger[count] for count in counts) if all(count in record.ledger for count in counts) else None


WEIGHTS = Cost(
    "weights", "weights transported / step", "weights transported per training step", _per_step("weights_transported")
)
BITS = Cost(
    "bits",
    "bits transported / step",
    "bits transported per training step",
    _per_step("transport_value_bits", "transport_index_bits"),
)
COSTS = (
    WEIGHTS,
    BITS,
    Cost("forward", "forward / sample", None, _per_sample("products_forward")),
    Cost("error", "error / sample", None, _per_sample("products_error")),
    Cost("update", "update / sample", None, _per_sample("products_update")),
    Cost(
        "products",
        None,
        "synaptic products per training sample",
        _per_sample("products_forward", "products_error", "products_update"),
    ),
    Cost(
        "operations",
        "operations / sample",
        "event-driven synaptic operations per training sample",
        _per_sample("operations_forward", "operations_error", "operations_update"),
    ),
    Cost(
        "memory",
        "memory",
        "stored numbers: feedback weights, and activity until its update",
        lambda record: _sum(record, ("feedback_memory", "stored_activity_peak")),
    ),
)
"""Every kind of cost but energy, in the order of the columns."""


def traffic(records: Sequence[Record]) -> Cost:
    """The cost that a Pareto front is drawn against: transported bits, or weights where older records have no bits."""
    return BITS if all(BITS.of(record) is not None for record in records) else WEIGHTS
