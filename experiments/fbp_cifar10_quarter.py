"""Frozen backpropagation in a VGG-7 of a quarter of the width on CIFAR-10, of which we have the JPEG files.

    python experiments/fbp_cifar10_quarter.py            trains what experiments/records/fbp_cifar10_quarter*.jsonl lack
    python experiments/fbp_cifar10_quarter.py --table    writes the tables in docs/fbp.md from the records

The data are pictures in one folder per class, `cifar10-jpeg/train` and `cifar10-jpeg/test` in the data folder
(ONCHIP_DATA). All 50,000 training images, shifted and mirrored at random, spike times; the 10,000 test images are
evaluated once per run, after its last step. The learning rate of all rows is the one with which BP was best on 5,000
validation images, after three epochs on 15,000 others, with a seed that is used for nothing else.

A run of five epochs takes a quarter of an hour of one core, one of twenty takes an hour. It is stored after each epoch
under runs/, and goes on from there after an interruption. Rows come in the order of their importance, and a table also
lists those that were not trained yet.

Reference: Goupy et al. 2025 (arXiv 2505.13741), whose VGG-7 is four times as wide and trained some 15 times as long.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

from _paired import Paired, describe_pooled, pooled
from _records import FOLDER, accuracy, difference, train_missing
from _tables import SEEDS, command, spread
from onchip import allocator
from onchip.data.root import data_root
from onchip.report.markdown import markdown_table
from onchip.runs.config import RunConfig
from onchip.runs.record import Record, read

RECORDS = FOLDER / "fbp_cifar10_quarter.jsonl"
TUNING = FOLDER / "fbp_cifar10_quarter_tuning.jsonl"
CHECKPOINTS = FOLDER.parent.parent / "runs" / "fbp_cifar10_quarter"

WEIGHT_BITS = 32
FEEDBACK_WEIGHTS = 301_568
"""Weights through which errors pass: those of all layers but the first."""

BP = "bp"
MAIN = {
    BP: BP,
    "fbp:period=100;transport=top:0.1": "fbp, top 10%, Φ=100",
    "fbp:period=100;transport=top:0.01": "fbp, top 1%, Φ=100",
    "fbp": "fbp, budget of BP's bits / 1,000",
    f"fbp:budget={WEIGHT_BITS * FEEDBACK_WEIGHTS // 10_000}": "fbp, budget of BP's bits / 10,000",
    "never": "never",
    "fa": "fa",
}
"""Rules of the main rows, and what the table calls them: 1,000 and 10,000 times fewer scalars, then fewer bits."""

OTHERS = {name: name for name in ("usf", "frsf", "brsf", "kolen_pollack", "weight_mirror")}
TUNING_SEED = 1000
RATES = {"equal": (1e-4, 5e-5, 2e-4), "fan": (2e-4, 1e-4, 4e-4)}
"""Learning rates that are tried for each of the scalings over layers; a best one at an edge is followed further.
The paper's range is 3e-5 to 1e-4."""

LONGEST = 16
"""Runs after which a learning rate is followed no further; a rule that learns nothing has no best one."""

LEAST = 0.25
"""Validation accuracy without which no table is trained: with it, the best learning rate learns; chance is 0.1."""

BASE = RunConfig(
    data="folder:cifar10-jpeg",
    validation=0.0,
    net="16C3-32C3-P2-64C3-64C3-P2-128C3-128C3-P2-10",
    neuron="ttfs",
    augment="crop:4,flip",
    optimizer="adam",
    batch_size=32,  # the smallest of the paper's, with the most steps per epoch
    epochs=5,
    threads=1,
)
LONG = 20
"""Epochs of the longer runs."""


def tuning() -> Iterator[RunConfig]:
    """The runs that choose the learning rate: a grid, and what lies beyond its edge while the best is there."""
    base = replace(BASE, train_size=15_000, validation=0.1, epochs=3, seed=TUNING_SEED)
    for place in range(3):
        for lr_scaling, rates in RATES.items():
            yield replace(base, lr=rates[place], lr_scaling=lr_scaling)  # type: ignore[arg-type]
    while (found := best(records := read(TUNING))) in (edges := edges_of(records, found)):
        if len(records) >= LONGEST:
            return
        yield replace(base, lr=found[0] * (2.0 if found == edges[1] else 0.5), lr_scaling=found[1])  # type: ignore[arg-type]


def best(records: list[Record]) -> tuple[float, str]:
    """The learning rate and its scaling with the best validation accuracy."""
    found = max(records, key=lambda record: (record.validation_accuracy or 0.0, -record.settings["lr"]))
    return found.settings["lr"], found.settings["lr_scaling"]


def edges_of(records: list[Record], found: tuple[float, str]) -> tuple[tuple[float, str], tuple[float, str]]:
    """The smallest and the largest learning rate that were tried with the same scaling."""
    rates = [record.settings["lr"] for record in records if record.settings["lr_scaling"] == found[1]]
    return (min(rates), found[1]), (max(rates), found[1])


def runs() -> Iterator[RunConfig]:
    """The runs of the tables: two seeds of the main rows, one of the others, longer runs, what is left of three."""
    lr, lr_scaling = best(read(TUNING))
    base = replace(BASE, lr=lr, lr_scaling=lr_scaling)  # type: ignore[arg-type]
    longer = replace(base, epochs=LONG)
    for config, seeds, rules in (
        *((base, SEEDS[:2], MAIN), (base, SEEDS[:1], OTHERS), (longer, SEEDS[:1], MAIN)),
        *((base, SEEDS[2:], MAIN), (base, SEEDS[1:], OTHERS), (longer, SEEDS[1:], MAIN)),
    ):
        for seed in seeds:
            for rule in rules:
                yield replace(config, rule=rule, seed=seed)


def run() -> None:
    allocator.keep()  # for a tenth of the time
    os.chdir(data_root())  # where folder:cifar10-jpeg is
    train_missing(TUNING, tuning(), checkpoints=CHECKPOINTS)
    reached = max(record.validation_accuracy or 0.0 for record in read(TUNING))
    if reached < LEAST:
        raise SystemExit(f"BP reaches {reached:.1%} with the best learning rate; expected {LEAST:.0%}. Try others")
    train_missing(RECORDS, runs(), checkpoints=CHECKPOINTS)


def tables() -> dict[str, str]:
    parts: list[str] = []
    records = read(RECORDS)
    if not records:
        parts.append("No run of the table is over yet.")
    for epochs in sorted({record.epochs for record in records}):
        those = [record for record in records if record.epochs == epochs]
        settings = those[0].settings
        parts.append(
            f"{those[0].train_size:,} training and {those[0].test_size:,} test images, {epochs} epochs, batch "
            f"{settings['batch_size']}, Adam {settings['lr']:g} with `--lr-scaling {settings['lr_scaling']}`, cosine "
            "to 0:"
        )
        header = ("row", "seeds", "accuracy %", "against bp", "95% interval", "80% power from", "scalars", "bits")
        parts.append(markdown_table(header, [row(rule, name, those) for rule, name in (MAIN | OTHERS).items()]))
        parts += [text for text in [pooled_text(those)] if text]
    lines = [
        (record.settings["lr_scaling"], f"{record.settings['lr']:g}", spread([100 * (record.validation_accuracy or 0)]))
        for record in sorted(read(TUNING), key=lambda record: (record.settings["lr_scaling"], record.settings["lr"]))
    ]
    tried = [markdown_table(("lr-scaling", "lr", "validation %"), lines)] if lines else []
    return {"fbp_cifar10_quarter": "\n\n".join(parts + tried)}


def pooled_text(records: list[Record]) -> str:
    """What the rows of BP and fBP together say of the differences."""
    rows: dict[str, dict[int, float]] = {}
    for record in records:
        if record.rule in ("bp", "fbp"):
            rows.setdefault(record.label, {})[record.seed] = accuracy(record)
    seeds = sorted(rows.get(BP, {}))
    whole = {label: [row[seed] for seed in seeds] for label, row in rows.items() if set(seeds) <= set(row)}
    return describe_pooled(pooled(whole), " of BP and fBP")


def row(rule: str, name: str, records: list[Record]) -> tuple[str, ...]:
    """One row of the table; a row that was not trained has 0 seeds."""
    of = [record for record in records if record.settings["rule"] == rule]
    if not of:
        return (name, "0", *["-"] * 6)
    bp = {record.seed: record for record in records if record.settings["rule"] == BP}
    differences = [difference(record, bp[record.seed]) for record in of if record.seed in bp]
    compared = [spread(differences, "+"), *Paired(tuple(differences)).cells()] if differences else ["-"] * 3
    ledger = of[0].ledger
    scalars = FEEDBACK_WEIGHTS * ledger["steps"]  # BP moves every weight at every step
    bits = ledger["transport_value_bits"] + ledger["transport_index_bits"]
    return (
        name,
        str(len(of)),
        spread([accuracy(record) for record in of]),
        *([""] * 3 if rule == BP else compared),
        saved(scalars, ledger["weights_transported"]),
        saved(WEIGHT_BITS * scalars, bits),
    )


def saved(bp: float, moved: float) -> str:
    """How many times fewer scalars or bits are moved than under BP."""
    return f"{bp / moved:,.0f}x" if moved else "all"


if __name__ == "__main__":
    command(__doc__, "fbp.md", tables, run)
