"""Products in bfloat16: is a network as accurate as with products in float32?

    python experiments/bfloat16.py            trains the runs that experiments/records/bfloat16.jsonl lacks
    python experiments/bfloat16.py --table    writes the table in docs/gpu.md from the records

Every row is a run of `onchip.training` on the digits with the default network; only the precision of the products in
training differs. Networks are tested in float32, once per run, after the last step. One seed gives both precisions the
same first weights and the same order of images, so differences are taken per seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from _records import FOLDER, accuracy, train_missing
from _tables import SEEDS, command, spread
from onchip.report.markdown import markdown_table
from onchip.runs.config import RunConfig
from onchip.runs.record import Record, read

RECORDS = FOLDER / "bfloat16.jsonl"
LIF, TIMES = {"neuron": "lif"}, {"neuron": "ttfs", "lr": 1e-3}
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"`{rule}`": (rule, LIF) for rule in ("bp", "ottt", "dfa", "opzo")},
    **{f"`{rule}`, spike times": (rule, TIMES) for rule in ("bp", "fbp")},
}
"""Rules, and the settings of their neurons."""
PRECISIONS = ("float32", "bfloat16")
BASE = RunConfig(data="digits", net="conv-small", epochs=10)


def configs() -> Iterator[RunConfig]:
    for seed in SEEDS:
        for rule, neurons in ROWS.values():
            for precision in PRECISIONS:
                yield replace(BASE, rule=rule, seed=seed, precision=precision, **neurons)


def run() -> None:
    torch.set_num_threads(1)
    train_missing(RECORDS, configs())


def accuracies(records: list[Record], row: str, precision: str) -> list[float]:
    """Test accuracy in percent, per seed."""
    rule, neurons = ROWS[row]
    asked = {"rule": rule, "precision": precision, "neuron": neurons["neuron"]}
    by_seed = {r.seed: accuracy(r) for r in records if asked.items() <= r.settings.items()}
    return [by_seed[seed] for seed in SEEDS]


def tables() -> dict[str, str]:
    records, rows = read(RECORDS), []
    for name in ROWS:
        exact, rounded = (accuracies(records, name, precision) for precision in PRECISIONS)
        # Rounded, so that differences that cancel have the mean 0.
        differences = [round(one - other, 9) for one, other in zip(rounded, exact, strict=True)]
        rows.append((name, spread(exact), spread(rounded), spread(differences, "+")))
    return {"bfloat16": markdown_table(("rule", "float32, %", "bfloat16, %", "difference"), rows)}


if __name__ == "__main__":
    command(__doc__, "gpu.md", tables, run)
