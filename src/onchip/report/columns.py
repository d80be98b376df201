"""The columns of the page: everything that a reader may choose to see, to limit, or as an axis."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from onchip.cost.energy import known_tables
from onchip.report import on_chip
from onchip.report.costs import traffic
from onchip.report.energy import costs
from onchip.report.summary import Spread, Summary, count
from onchip.runs.record import Record

BYTES = 4
"""Bytes of a stored number, of 32 bits."""
NOUNS = {
    "memory": "stored numbers (feedback weights, and activity until its update)",
    "forward": "forward products per training sample",
    "error": "products of errors per training sample",
    "update": "products of updates per training sample",
}
"""Columns whose heads or axes do not read well in a sentence."""
HIGH = ("test", "validation", "cost", "speed", "error_sparsity")
"""Columns of which more is better; of all others less is."""


@dataclass(frozen=True)
class Column:
    """A column.

    Args:
        name: a word for it, in the address of the page.
        head: its head in the table.
        noun: what it is in a sentence.
        kind: under which heading it is offered.
        of: a rule -> its numbers over the seeds; None where there are none.
        text: numbers -> what a reader sees.
        unit: follows a number in a sentence.
        percent: whether its axis need not begin at 0.
        shown: whether the table shows it before anything is chosen.
        table: the energy table that it is computed by; empty if it is no energy.
    """

    name: str
    head: str
    noun: str
    kind: str
    of: Callable[[Summary], Spread | None]
    text: Callable[[Spread], str]
    unit: str = ""
    percent: bool = False
    shown: bool = False
    table: str = ""

    @property
    def better(self) -> str:
        """`high` or `low`."""
        return "high" if self.name in HIGH else "low"


def columns(records: Sequence[Record], summaries: Sequence[Summary], hardware: Sequence[str] = ()) -> list[Column]:
    """Every column for which a run has a number.

    Args:
        records: the runs that succeeded.
        summaries: the rules.
        hardware: energy tables that are shown at first; if empty, the first that the records name.

    Raises:
        RequestError: there is no such energy table.
    """
    found = [
        *_accuracies(summaries),
        *_costs(records, hardware),
        Column(
            "feedback",
            "feedback memory, bytes",
            "feedback memory",
            "Costs",
            _over_seeds(_feedback_bytes),
            _count,
            unit=" bytes",
        ),
        Column("speed", "samples/s", "training samples per second", "Time", _over_seeds(_speed), _count),
        Column("seconds", "training, s", "training time", "Time", _over_seeds(_seconds), _count, unit=" s"),
    ]
    found += _counts(records, {column.name for column in found})
    return [column for column in found if any(column.of(summary) for summary in summaries)]


def _accuracies(summaries: Sequence[Summary]) -> list[Column]:
    difference = partial(on_chip.difference, summaries=summaries)
    rest: dict[str, Any] = {"kind": "Accuracy", "percent": True}
    return [
        Column("test", "test %", "test accuracy", of=_test, text=Spread.text, unit=" %", shown=True, **rest),
        Column(
            "validation", "validation %", "validation accuracy", of=_validation, text=Spread.text, unit=" %", **rest
        ),
        Column(
            "cost",
            "against full precision",
            "difference to full precision",
            of=difference,
            text=_signed,
            unit=" points",
            shown=True,
            **rest,
        ),
    ]


def _costs(records: Sequence[Record], hardware: Sequence[str]) -> list[Column]:
    """Costs and energies by every table; the page shows the traffic and the energies that a table of results shows."""
    heads = {cost.table: cost.column for cost in costs(records, hardware) if cost.column and cost.table}
    tables = sorted({*known_tables(), *hardware}, key=lambda name: (name not in heads, name))
    shown = (traffic(records).name, "operations", "memory")
    return [
        Column(
            f"energy-{cost.table}" if cost.table else cost.name,
            head := heads.get(cost.table) or cost.column or cost.axis or cost.name,
            NOUNS.get(cost.name) or (cost.axis or head).removesuffix(" [µJ]"),
            "Energy" if cost.table else "Costs",
            _over_seeds(cost.of),
            _count,
            unit=" µJ" if cost.table else "",
            shown=cost.name in shown or cost.table in heads,
            table=cost.table,
        )
        for cost in costs(records, tables)
    ]


def _counts(records: Sequence[Record], taken: Collection[str]) -> list[Column]:
    """Every count of the ledger, energies apart."""
    counts = dict.fromkeys(name for record in records for name in record.ledger if not name.startswith("energy_"))
    return [
        Column(
            f"count-{name}" if name in taken else name,
            words := name.replace("_", " "),
            f"count of {words}",
            "Counts of the ledger, whole training",
            _over_seeds(partial(_counted, name=name)),
            _count,
        )
        for name in counts
    ]


def _over_seeds(of: Callable[[Record], float | None]) -> Callable[[Summary], Spread | None]:
    return lambda summary: summary.spread(of)


def _test(summary: Summary) -> Spread | None:
    return summary.spread(lambda record: None if record.test_accuracy is None else 100 * record.test_accuracy)


def _validation(summary: Summary) -> Spread | None:
    return summary.spread(lambda r: None if r.validation_accuracy is None else 100 * r.validation_accuracy)


def _feedback_bytes(record: Record) -> float | None:
    return BYTES * record.ledger["feedback_memory"] if "feedback_memory" in record.ledger else None


def _seconds(record: Record) -> float | None:
    return record.train_seconds or None


def _counted(record: Record, *, name: str) -> float | None:
    return record.ledger.get(name)


def _speed(record: Record) -> float | None:
    return record.samples_per_second


def _signed(spread: Spread) -> str:
    return spread.text("+.2f")


def _count(spread: Spread) -> str:
    return count(spread.mean)
