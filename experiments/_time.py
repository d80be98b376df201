"""What the experiments on time share: runs of every rule that can train a network, and tables with their bill."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from _records import append_lines, read_lines, same_settings
from _tables import spread
from onchip.data import Dataset
from onchip.errors import OnchipError, UnsupportedError
from onchip.report.costs import COSTS
from onchip.report.markdown import markdown_table
from onchip.report.summary import count
from onchip.runs.config import RunConfig
from onchip.runs.record import Record
from onchip.training.builder import build, describe
from onchip.training.loop import train
from onchip.training.randomness import own_randomness
from onchip.training.resolved import resolve

__all__ = ["RULES", "Row", "bill_table", "percents", "records_of", "run_rows", "unchanged"]

RULES = (
    *("bp", "eprop:feedback=symmetric", "eprop", "eprop:feedback=adaptive", "sltt", "ottt", "ostl", "osttp", "drtp"),
    *("etlp", "s_tllr", "s_tllr:feedback=dfa", "decolle", "opzo", "dkp", "dfa", "fbp", "never", "fa"),
    *("kolen_pollack", "weight_mirror", "usf", "brsf", "frsf", "local_learning", "anchored_dkp", "noisy_bp"),
    "zeroth_order",
)
"""Every rule that trains LIF neurons, the feedback of `eprop` and `s_tllr` in each of its forms."""

BILL = {
    "weights": "weights transported / step",
    "operations": "operations / sample",
    "memory": "memory",
}
"""Columns of costs, by their names in `onchip.report.costs`."""


def unchanged(data: Dataset) -> Dataset:
    return data


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Args:
        table: The title of its table.
        config: Its settings; the seed is that of a run.
        change: What is changed in the data that the settings name, such as the steps that have a target.
    """

    table: str
    config: RunConfig
    change: Callable[[Dataset], Dataset] = unchanged


def run_rows(rows: Iterable[Row], path: Path, seeds: Iterable[int], load: Callable[[RunConfig], Dataset]) -> None:
    """Trains the runs that the file lacks, seed by seed, so that an interrupted table is balanced.

    A run that the rule refuses or that diverges is recorded with the reason.
    """
    torch.set_num_threads(1)
    done = [(title, record.settings) for title, runs in records_of(path).items() for record, _ in runs]
    loaded: dict[tuple[str, str, float], Dataset] = {}
    rows = tuple(rows)
    for seed in seeds:
        for row in rows:
            config = replace(row.config, seed=seed)
            if any(title == row.table and same_settings(config, settings) for title, settings in done):
                continue
            key = (row.table, config.data, config.validation)
            if key not in loaded:
                loaded[key] = row.change(load(config))
            record, streams = measured(config, loaded[key])
            append_lines(path, [{"table": row.table, "streams": streams, "record": json.loads(record.to_json())}])
            result = record.error if record.test_accuracy is None else f"{record.test_accuracy:.4f}"
            print(f"{row.table}: {record.label}, seed {seed}: {result} in {record.seconds:.0f} s", flush=True)


def measured(config: RunConfig, data: Dataset) -> tuple[Record, bool | None]:
    """The record of a run, and whether its rule could also learn while the input arrives, `rule.stream`."""
    resolved = resolve(config, data)
    try:
        with own_randomness(config):
            rule = build(resolved).rule
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # what a rule says of streams would be a matter of every run
                    next(rule.stream(torch.ones(2, 1, *data.shape)))
                streams = True
            except UnsupportedError:
                streams = False
        return train(config, data), streams
    except OnchipError as error:
        return replace(describe(resolved), error=str(error)), None


def records_of(path: Path) -> dict[str, list[tuple[Record, bool | None]]]:
    """Records, with whether their rules stream, by the title of their table."""
    titles: dict[str, list[tuple[Record, bool | None]]] = {}
    for entry in read_lines(path):
        record = Record.from_json(json.dumps(entry["record"], ensure_ascii=False))
        titles.setdefault(entry["table"], []).append((record, entry["streams"]))
    return titles


def bill_table(runs: Sequence[tuple[Record, bool | None]]) -> str:
    """Accuracy and bill of each rule: means ± standard deviations over its seeds, and below them what failed."""
    costs = {cost.name: cost for cost in COSTS}
    rows, failed = [], []
    for label in dict.fromkeys(record.label for record, _ in runs):
        records = [record for record, _ in runs if record.label == label]
        good = [record for record in records if record.status == "ok"]
        failed += [f"- `{label}`, seed {record.seed}: {record.error}" for record in records if record.status != "ok"]
        if not good:
            continue
        streams = next(stream for record, stream in runs if record.label == label and record.status == "ok")
        bill = [mean_count([costs[name].of(record) for record in good]) for name in BILL]
        rows.append((f"`{label}`", str(len(good)), spread(percents(good)), *bill, "yes" if streams else "no"))
    table = markdown_table(("rule", "seeds", "test %", *BILL.values(), "learns in a stream"), rows)
    return "\n\n".join([table, *(["\n".join(failed)] if failed else [])])


def percents(records: Iterable[Record]) -> list[float]:
    """Test accuracies in percent."""
    return [100.0 * record.test_accuracy for record in records if record.test_accuracy is not None]


def mean_count(values: Sequence[float | None]) -> str:
    known: list[float] = [value for value in values if value is not None]
    return count(sum(known) / len(known)) if known else "-"
