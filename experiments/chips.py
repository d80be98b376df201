"""What the bits of a chip cost: rules that Loihi can run, trained with its bits and in full precision.

    python experiments/chips.py --tune     makes the runs on validation images that choose the learning rates
    python experiments/chips.py            trains the runs that experiments/records/chips.jsonl lacks
    python experiments/chips.py --table    writes the table in docs/chips.md from the records

Every row is a run of `onchip.training` on 800 images of handwritten digits, 64-64-64-10 with LIF neurons, T = 8 with
Poisson spikes as input, three epochs of plain gradient descent with a batch of one sample, as a chip trains. `onchip
chips check` calls each of the rules faithful on Loihi; `bp` is there to compare with. The learning rate of each rule is
the one of `RATES` with the best accuracy on 360 validation images, in full precision under a seed that is used for
nothing else; it serves both precisions. The test images are evaluated once per run, after its last step. One seed gives
both precisions the same first weights, the same order of images and the same input spikes, so that differences are
taken per seed.

The bits are those of `--synapses chip:loihi`: 7 for traces and for each sign of an error, 8 and a sign for weights,
stochastic rounding.

Reference: Davies et al. 2018 (Loihi, IEEE Micro 38(1)), for the bits; `onchip chips show loihi` has the source of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from _records import FOLDER, accuracy, difference, train_missing
from _tables import SEEDS, command, spread
from onchip.report.markdown import markdown_table
from onchip.runs.config import RunConfig
from onchip.runs.record import Record, read

RECORDS = FOLDER / "chips.jsonl"
TUNING = FOLDER / "chips_tuning.jsonl"
CHIP = "chip:loihi"
BASE = RunConfig(
    data="digits",
    train_size=800,
    validation=0.25,
    net="F64-F64",
    encoder="poisson",
    steps=8,
    epochs=3,
    batch_size=1,
    optimizer="sgd",
    momentum=0.0,
    schedule="cosine",
)
RULES = ("dfa", "drtp", "decolle", "eprop", "fa:temporal=online", "s_tllr:feedback=dfa")
"""Rules that Loihi runs faithfully."""

REFERENCE = "bp"
RATES = (0.05, 0.1, 0.2, 0.4, 0.8)
TUNING_SEED = 1000


def tuning() -> Iterator[RunConfig]:
    """The runs that choose the learning rates."""
    for rule in (*RULES, REFERENCE):
        for rate in RATES:
            yield replace(BASE, rule=rule, lr=rate, seed=TUNING_SEED)


def chosen() -> dict[str, float]:
    """The learning rate of each rule; of equally good ones the smallest."""
    found: dict[str, Record] = {}
    for record in sorted(read(TUNING), key=lambda record: record.settings["lr"]):
        best = found.setdefault(record.label, record)
        if (record.validation_accuracy or 0.0) > (best.validation_accuracy or 0.0):
            found[record.label] = record
    return {rule: float(record.settings["lr"]) for rule, record in found.items()}


def configs() -> Iterator[RunConfig]:
    """All runs, seed by seed."""
    rates = chosen()
    for seed in SEEDS:
        for rule in (*RULES, REFERENCE):
            for synapses in (None,) if rule == REFERENCE else (None, CHIP):
                yield replace(BASE, rule=rule, lr=rates[label(rule)], seed=seed, synapses=synapses)


def label(rule: str) -> str:
    """The rule as records name it."""
    return rule.replace("_", "-", 1)


def tune() -> None:
    torch.set_num_threads(1)
    train_missing(TUNING, tuning())


def run() -> None:
    torch.set_num_threads(1)
    train_missing(RECORDS, configs())


def tables() -> dict[str, str]:
    runs = {(record.label, record.settings["synapses"], record.seed): record for record in read(RECORDS)}
    rows = []
    for rule, rate in chosen().items():
        exact = [runs[rule, None, seed] for seed in SEEDS]
        coarse = [runs[rule, CHIP, seed] for seed in SEEDS if (rule, CHIP, seed) in runs]
        differences = [difference(one, beside) for one, beside in zip(coarse, exact, strict=False)]
        rows.append(
            (
                f"`{rule}`",
                f"{rate:g}",
                str(len(exact)),
                spread([accuracy(record) for record in exact]),
                spread([accuracy(record) for record in coarse]) if coarse else "unsupported",
                spread(differences, "+") if coarse else "",
            )
        )
    header = ("rule", "learning rate", "seeds", "full precision, %", "bits of Loihi, %", "difference")
    return {"chips": markdown_table(header, rows)}


if __name__ == "__main__":
    command(__doc__, "chips.md", tables, run, tune)
