"""Every rule on one network and one data set: which accuracy does each reach, and what does it pay for it?

    python experiments/all_rules.py              trains the runs that experiments/records/all_rules*.jsonl lack
    python experiments/all_rules.py --table      writes docs/all-rules.md and docs/all-rules.svg from the records

Rules are those of the export list, with default options. All 60,000 training images of Fashion-MNIST are used; the
10,000 test images are evaluated once per run, after its last step. One seed gives all rules the same first weights and
the same order of images, so differences are taken per seed. Products are computed in bfloat16 in all runs.

The learning rate of each rule is chosen on 3,000 validation images after training on 6,000 others, with a seed that is
used for nothing else; the grid grows until the best rate is not at its edge. Rules that need spike trains have
stochastic neurons in place of LIF neurons, and so has a second run of `bp`, which they are compared with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from _all_rules_figure import svg
from _all_rules_rows import Result, bill, results, shown
from _all_rules_tables import page
from _records import FOLDER, train_missing
from _tables import DOCS, parser, write
from onchip import rules
from onchip.certificates import Claims
from onchip.data import Dataset, Split
from onchip.data.samples import IMAGES
from onchip.errors import OnchipError
from onchip.runs.config import RunConfig
from onchip.runs.record import Record, append, read
from onchip.training.builder import build, describe, load_data
from onchip.training.randomness import own_randomness
from onchip.training.resolved import resolve

RECORDS = FOLDER / "all_rules.jsonl"
TUNING = FOLDER / "all_rules_tuning.jsonl"
FIGURE = DOCS / "all-rules.svg"

SEEDS = (0, 1, 2, 3, 4)
BASE = RunConfig(
    net="8C3-P2-16C3-P2-F64",
    data="fashion-mnist",
    steps=4,
    validation=0.0,
    epochs=2,
    batch_size=64,
    precision="bfloat16",
    threads=1,
)
SPIKES_ALONE = ("ssnn_bp", "own_noise_mirror")
"""Rules for neurons that send spike trains; every other rule trains LIF neurons, or its error is recorded."""

TUNING_SEED = 1000
LEARNING_RATES = (0.001, 0.002, 0.004, 0.008)
FACTOR = 2.0
LONGEST = 10
"""Learning rates of a grid that has grown; a rule that learns nothing has no best one."""


@dataclass(frozen=True)
class Row:
    """A rule and the neurons that it trains."""

    rule: str
    neuron: str

    def config(self, lr: float, seed: int) -> RunConfig:
        """A run on all images."""
        return replace(BASE, rule=self.rule, neuron=self.neuron, lr=lr, seed=seed)

    def tuning(self, lr: float) -> RunConfig:
        """A run that helps to choose the learning rate."""
        return replace(self.config(lr, TUNING_SEED), train_size=6_000, validation=0.05, epochs=3)


ROWS = (
    *(Row(rule, "lif") for rule in rules.__all__ if rule not in SPIKES_ALONE),
    *(Row(rule, "stochastic") for rule in ("bp", *SPIKES_ALONE)),
)


def attempt(path: Path, config: RunConfig, data: Dataset) -> None:
    """Trains a run that the file lacks; one that the rule refuses or that diverges is recorded with the reason."""
    try:
        train_missing(path, [config], data)
    except OnchipError as error:
        append(path, replace(describe(resolve(config, data)), error=str(error)))
        print(f"{config.rule}, seed {config.seed}: {error}", flush=True)


def grid(row: Row) -> list[float]:
    """The learning rates that were or will be tried, in order; it grows where the best one is at an edge."""
    rates = list(LEARNING_RATES)
    tried = {float(record.settings["lr"]): record for record in of_row(row, read(TUNING))}
    while len(rates) < LONGEST and all(rate in tried for rate in rates):
        best = best_of([tried[rate] for rate in rates])
        if best == rates[0]:
            rates.insert(0, best / FACTOR)
        elif best == rates[-1]:
            rates.append(best * FACTOR)
        else:
            break
    return rates


def tune(row: Row, data: Dataset) -> None:
    """Tries learning rates until the best one is not at the edge of the grid."""
    rates: list[float] = []
    while rates != (wanted := grid(row)):
        rates = wanted
        for lr in rates:
            attempt(TUNING, row.tuning(lr), data)


def best_of(records: list[Record]) -> float:
    """The learning rate with the best validation accuracy; of equals, the smallest."""
    best = max(records, key=lambda record: (record.validation_accuracy or 0.0, -float(record.settings["lr"])))
    return float(best.settings["lr"])


def of_row(row: Row, records: list[Record]) -> list[Record]:
    """The records of a row."""
    asked = (row.rule, row.neuron)
    return [record for record in records if (record.settings["rule"], record.settings["neuron"]) == asked]


def claims(row: Row) -> Claims:
    """What a rule claims about its updates on the network; `onchip audit` tests such claims."""
    split = Split(
        torch.zeros(BASE.batch_size, 1, 28, 28, dtype=torch.uint8), torch.arange(BASE.batch_size) % 10, IMAGES
    )
    data = Dataset(BASE.data, tuple("0123456789"), split, split.take(torch.arange(0)), split)
    config = replace(row.config(BASE.lr, 0), batch_size=5, precision="float32")  # which no claim depends on
    with own_randomness(config):
        return build(resolve(config, data)).rule.claims


def found() -> list[Result]:
    """All rules that have a record."""
    records = read(RECORDS)
    return results(records, {(row.rule, row.neuron): claims(row) for row in ROWS if of_row(row, records)})


def drawn() -> bytes:
    """The figure."""
    costs = bill([record for record in read(RECORDS) if record.status == "ok"])
    return svg([result for result in found() if result.runs], [costs["bits"], costs["energy"]])


def tables() -> dict[str, str]:
    """The generated part of the page."""
    records = read(RECORDS)
    missing = [shown(row.rule, row.neuron) for row in ROWS if not of_row(row, records)]
    return {"all_rules": page(found(), records, missing, FIGURE.name)}


def run() -> None:
    some, data = load_data(ROWS[0].tuning(LEARNING_RATES[0])), load_data(BASE)
    for seed in SEEDS:
        for row in ROWS:
            tune(row, some)
            attempt(RECORDS, row.config(best_of(of_row(row, read(TUNING))), seed), data)


def main() -> None:
    if parser(__doc__, "all-rules.md").parse_args().table:
        write("all-rules.md", tables())
        FIGURE.write_bytes(drawn())
    else:
        run()


if __name__ == "__main__":
    main()
