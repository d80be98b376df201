"""Frozen backpropagation in a VGG-7 of a quarter of the width on CIFAR-10, of which we have the JPEG files.

    python experiments/fbp_cifar10_quarter.py            trains what experiments/records/fbp_cifar10_quarter*.jsonl lack
    python experiments/fbp_cifar10_quarter.py --table    writes the tables in docs/fbp.md from the records

Hidden neurons have a surrogate derivative of firing and standardized weights; other tables lack one or both.

The data are pictures in one folder per class, `cifar10-jpeg/train` and `cifar10-jpeg/test` in the data folder
(ONCHIP_DATA). All 50,000 training images, shifted and mirrored at random, spike times; the 10,000 test images are
evaluated once per run, after its last step. The learning rate of all rows of a table, and the scale of the read-out's
first weights, are those with which BP was best on 5,000 validation images, after three epochs on 15,000 others in
float32, with a seed that is used for nothing else.

A run of five epochs takes 15 to 30 minutes of one core, one of twenty an hour and more. It is stored after each epoch
under runs/, and goes on from there after an interruption. Rows come in the order of their importance, and a table also
lists those that were not trained yet.

Reference: Goupy et al. 2025 (arXiv 2505.13741), whose VGG-7 is four times as wide and trained some 15 times as long.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from _paired import Paired, describe_pooled, pooled
from _records import FOLDER, accuracy, difference, train_missing
from _tables import SEEDS, command, spread
from onchip import allocator
from onchip.data.root import data_root
from onchip.learning.lr_scaling import LRScaling
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

OTHERS = {name: name for name in ("usf", "frsf", "brsf", "weight_mirror")}
"""Not `kolen_pollack`, which refuses weights that a layer computes from others."""

TUNING_SEED = 1000
Choice = tuple[float, LRScaling, float]
"""A learning rate, how layers share it, and the scale of the read-out's first weights."""


@dataclass(frozen=True)
class Kind:
    """A network, its neurons, and how their first weights are drawn: what a table is of."""

    neuron: str
    init: Literal["default", "centered"] = "default"
    standardized: bool = False

    def apply(self, config: RunConfig) -> RunConfig:
        net = NET.replace("C3", "C3WS") if self.standardized else NET
        return replace(config, net=net, neuron=self.neuron, init=self.init)

    def __str__(self) -> str:
        init = "" if self.init == "default" else f" --init {self.init}"
        return f"`--neuron {self.neuron}{init}`{', standardized weights' if self.standardized else ''}"


NET = "16C3-32C3-P2-64C3-64C3-P2-128C3-128C3-P2-10"
FIRING = "ttfs:surrogate=triangle:2"
STANDARDIZED = Kind(FIRING, standardized=True)
CENTERED = Kind(FIRING, "centered")
SURROGATE = Kind(FIRING)
WIDER = Kind("ttfs:surrogate=triangle:4")
PUBLISHED = Kind("ttfs")
FIRST: dict[Kind, tuple[Choice, ...]] = {
    PUBLISHED: (
        *((1e-4, "equal", 1.0), (2e-4, "fan", 1.0), (5e-5, "equal", 1.0), (1e-4, "fan", 1.0), (2e-4, "equal", 1.0)),
        *((4e-4, "fan", 1.0), (1e-4, "equal", 0.01), (2e-4, "equal", 0.01), (4e-4, "equal", 0.01)),
    ),
    WIDER: ((4e-4, "equal", 1.0), (8e-4, "equal", 1.0), (2e-4, "equal", 1.0), (4e-4, "equal", 0.1)),
    SURROGATE: ((4e-4, "equal", 0.1), (8e-4, "equal", 0.1), (2e-4, "equal", 0.1)),
    CENTERED: ((2e-4, "equal", 0.1), (4e-4, "equal", 0.1)),
    STANDARDIZED: ((4e-4, "equal", 0.1), (8e-4, "equal", 0.1)),
}
"""What is tried before the neighbours of the best choice. The paper's learning rates are 3e-5 to 1e-4."""

FOLLOWED = PUBLISHED, STANDARDIZED
"""Kinds of which the neighbours are tried."""

LONGEST = 24
"""Runs per kind after which a best choice is followed no further; a rule that learns nothing has none."""

LEAST = 0.25
"""Validation accuracy without which no table is trained: with it, the best learning rate learns; chance is 0.1."""

BASE = RunConfig(
    data="folder:cifar10-jpeg",
    validation=0.0,
    net=NET,
    augment="crop:4,flip",
    optimizer="adam",
    batch_size=32,  # the smallest of the paper's, with the most steps per epoch
    epochs=5,
    threads=1,
)
LONG = 20
"""Epochs of the longer runs."""


def kind_of(record: Record) -> Kind:
    """The kind of a record; one older than centered weights had none."""
    settings = record.settings
    return Kind(settings["neuron"], settings.get("init", "default"), "WS" in settings["net"])


def tuning(kind: Kind) -> Iterator[RunConfig]:
    """The runs that choose: the first ones, then the neighbours of the best one until it has none untried."""
    base = replace(kind.apply(BASE), train_size=15_000, validation=0.1, epochs=3, seed=TUNING_SEED)
    for choice in FIRST[kind]:
        yield with_choice(base, choice)
    while kind in FOLLOWED and len(records := tuned(kind)) < LONGEST:
        tried = {choice_of(record) for record in records}
        untried = [choice for choice in neighbours(best(kind)) if choice not in tried]
        if not untried:
            return
        yield with_choice(base, untried[0])


def tuned(kind: Kind) -> list[Record]:
    """The records of the runs that choose."""
    return [record for record in read(TUNING) if kind_of(record) == kind]


def with_choice(config: RunConfig, choice: Choice) -> RunConfig:
    lr, lr_scaling, readout_scale = choice
    return replace(config, lr=lr, lr_scaling=lr_scaling, readout_scale=readout_scale)


def choice_of(record: Record) -> Choice:
    """The choice that a record was made with; one older than the scale had weights of He's size."""
    return record.settings["lr"], record.settings["lr_scaling"], record.settings.get("readout_scale", 1.0)


def neighbours(choice: Choice) -> list[Choice]:
    """Half and twice the learning rate, a tenth and ten times the scale, up to He's."""
    lr, lr_scaling, scale = choice
    scales = [next_to for next_to in (scale * 0.1, scale * 10.0) if next_to <= 1.0]
    return [(rounded(lr * 0.5), lr_scaling, scale), (rounded(lr * 2.0), lr_scaling, scale)] + [
        (lr, lr_scaling, rounded(next_to)) for next_to in scales
    ]


def rounded(number: float) -> float:
    """The number as a reader would write it: 0.1 * 0.1 is not 0.01."""
    return float(f"{number:.6g}")


def best(kind: Kind) -> Choice:
    """The choice with the best validation accuracy."""
    return choice_of(max(tuned(kind), key=lambda record: (record.validation_accuracy or 0.0, -record.settings["lr"])))


def runs() -> Iterator[RunConfig]:
    """The runs of the tables: two seeds of the main rows, one of the others, longer runs, what is left of three; then
    two seeds of the main rows of the paper's neurons, whose backward pass is in bfloat16."""
    base = with_choice(STANDARDIZED.apply(BASE), best(STANDARDIZED))
    longer = replace(base, epochs=LONG)
    for config, seeds, rules in (
        *((base, SEEDS[:2], MAIN), (base, SEEDS[:1], OTHERS), (longer, SEEDS[:1], MAIN)),
        *((base, SEEDS[2:], MAIN), (base, SEEDS[1:], OTHERS), (longer, SEEDS[1:], MAIN)),
    ):
        for seed in seeds:
            for rule in rules:
                yield replace(config, rule=rule, seed=seed)
    published = with_choice(replace(PUBLISHED.apply(BASE), precision="bfloat16"), best(PUBLISHED))
    for seed in SEEDS[:2]:
        for rule in MAIN:
            yield replace(published, rule=rule, seed=seed)


def run() -> None:
    allocator.keep()  # for a tenth of the time
    os.chdir(data_root())  # where folder:cifar10-jpeg is
    for kind in FIRST:
        train_missing(TUNING, tuning(kind), checkpoints=CHECKPOINTS)
    reached = max(record.validation_accuracy or 0.0 for record in tuned(STANDARDIZED))
    if reached < LEAST:
        raise SystemExit(f"BP reaches {reached:.1%} with the best learning rate; expected {LEAST:.0%}. Try others")
    train_missing(RECORDS, runs(), checkpoints=CHECKPOINTS)


def tables() -> dict[str, str]:
    parts: list[str] = []
    records = read(RECORDS)
    if not records:
        parts.append("No run of the table is over yet.")
    for (kind, scale, epochs), those in sorted(grouped(records).items(), key=at_end):
        lr, lr_scaling, _ = choice_of(those[0])
        parts.append(
            f"{kind}; {those[0].train_size:,} training and {those[0].test_size:,} test images, {epochs} epochs, batch "
            f"{those[0].settings['batch_size']}, Adam {lr:g} with `--lr-scaling {lr_scaling} --readout-scale "
            f"{scale:g}`, cosine to 0, {those[0].settings['precision']}:"
        )
        rules = {record.settings["rule"] for record in those}
        whole = (kind, scale) == (STANDARDIZED, best(STANDARDIZED)[2])
        shown = {rule: name for rule, name in (MAIN | OTHERS).items() if whole or rule in rules}
        header = ("row", "seeds", "accuracy %", "against bp", "95% interval", "80% power from", "scalars", "bits")
        parts.append(markdown_table(header, [row(rule, name, those) for rule, name in shown.items()]))
        parts += [text for text in [pooled_text(those)] if text]
    lines = [
        (str(kind), f"{scale:g}", lr_scaling, f"{lr:g}", spread([100 * reached]))
        for kind in FIRST
        for (scale, lr_scaling, lr), reached in sorted(
            (choice_of(record)[::-1], record.validation_accuracy or 0.0) for record in tuned(kind)
        )
    ]
    if lines:
        parts.append(markdown_table(("options", "readout-scale", "lr-scaling", "lr", "validation %"), lines))
    return {"fbp_cifar10_quarter_found": found(records), "fbp_cifar10_quarter": "\n\n".join(parts)}


Table = tuple[Kind, float, int]
"""The kind, the scale of the read-out and the epochs of a table's runs."""


def at_end(table: tuple[Table, list[Record]]) -> tuple[int, float, int]:
    """Where a table comes among others: those of the best kind first, the paper's last."""
    (kind, scale, epochs), _ = table
    return -list(FIRST).index(kind), -scale, -epochs


def grouped(records: list[Record]) -> dict[Table, list[Record]]:
    """The records of each table."""
    tables: dict[Table, list[Record]] = {}
    for record in records:
        key = kind_of(record), choice_of(record)[2], record.epochs
        tables.setdefault(key, []).append(record)
    return tables


def found(records: list[Record]) -> str:
    """What the main rows say of each kind."""
    return "\n".join(found_with(kind, records) for kind in (STANDARDIZED, CENTERED, SURROGATE, PUBLISHED))


def found_with(kind: Kind, records: list[Record]) -> str:
    """What the main rows say of one kind, in points against BP."""
    those = grouped(records).get((kind, best(kind)[2], BASE.epochs), [])
    rows = {rule: {record.seed: record for record in those if record.settings["rule"] == rule} for rule in MAIN}
    if not (bp := rows[BP]):
        return f"- [CIFAR-10](#cifar-10), {kind}: no run of {BASE.epochs} epochs is over yet."
    gaps = {
        MAIN[rule]: [difference(run, bp[seed]) for seed, run in runs.items() if seed in bp]
        for rule, runs in rows.items()
        if rule != BP
    }
    said = "; ".join(f"{name}: {spread(points, '+')} (n = {len(points)})" for name, points in gaps.items() if points)
    reached = spread([accuracy(run) for run in bp.values()])
    return (
        f"- [CIFAR-10](#cifar-10), {kind}, {BASE.epochs} epochs: BP is at {reached}% (n = {len(bp)}), and in "
        f"points against it {said or 'no other row has a run yet'}."
    )


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
