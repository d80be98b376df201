"""Measured accuracies and bills of every rule, from the committed records of experiments that train all of them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from onchip.errors import OnchipError
from onchip.report.costs import COSTS
from onchip.report.summary import count
from onchip.runs.record import Record

SOURCES = {"time_japanese_vowels": "time.md", "all_rules": "all-rules.md"}
"""Experiments in which every rule trains the same network, by the page that reports them."""

COLUMNS = {"weights": "weights transported / step", "operations": "operations / sample", "memory": "memory"}
HEADER = ("data", "network", "rule", "seeds", "test %", *COLUMNS.values())


@dataclass(frozen=True)
class Measured:
    """Runs of one rule that differ by the seed only.

    Args:
        experiment: whose records these are.
        table: title of the table of the experiment, empty if it has one.
        label: the rule with its options.
        records: one per seed that succeeded.
    """

    experiment: str
    table: str
    label: str
    records: tuple[Record, ...]

    def cells(self) -> tuple[str, ...]:
        """A row of the table of a page."""
        first = self.records[0]
        percents = [100 * record.test_accuracy for record in self.records if record.test_accuracy is not None]
        spread = f" ± {statistics.stdev(percents):.2f}" if len(percents) > 1 else ""
        of = {cost.name: cost.of for cost in COSTS}
        bill = [[of[name](record) for record in self.records] for name in COLUMNS]
        means = [count(statistics.mean(v)) if (v := [n for n in values if n is not None]) else "-" for values in bill]
        data = f"{first.data}{f', {self.table}' if self.table else ''}"
        network = f"{Path(str(first.network)).name}, `{first.neuron}`"
        return (
            data,
            network,
            f"`{self.label}`",
            str(len(percents)),
            f"{statistics.mean(percents):.2f}{spread}",
            *means,
        )


@cache
def measured(root: Path) -> tuple[Measured, ...]:
    """Every rule of every experiment that is there."""
    groups: dict[tuple[str, str, str, str], list[Record]] = {}
    for name in SOURCES:
        for table, record in _records(root / "experiments" / "records" / f"{name}.jsonl"):
            if record.status == "ok" and record.test_accuracy is not None:
                groups.setdefault((name, table, str(record.neuron), record.label), []).append(record)
    return tuple(Measured(name, table, label, tuple(runs)) for (name, table, _, label), runs in groups.items())


def _records(path: Path) -> Iterator[tuple[str, Record]]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        try:
            record = Record.from_json(json.dumps(entry.get("record", entry), ensure_ascii=False))
        except OnchipError as error:
            raise SystemExit(f"{path}: {error}") from error
        yield entry.get("table", ""), record
