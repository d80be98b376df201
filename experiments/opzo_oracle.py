"""Which part of the gap from OPZO to spatial backpropagation is noise, which the estimate, which that M is one matrix?

    python experiments/opzo_oracle.py              trains the runs that experiments/records/opzo_oracle*.jsonl lack
    python experiments/opzo_oracle.py --nets conv-wide
    python experiments/opzo_oracle.py --table      writes the table of docs/opzo.md from the records

`opzo` differs from `ottt` in three things: noise in the forward pass, one matrix M per layer for all samples, and that
M is estimated. `noisy-bp` has the noise alone. `oracle` has the one matrix alone: M is the true mean derivative, which
backward passes through a copy of the network compute; `oracle:scale=0.2` has the noise, too. Two more oracles have
several matrices per layer, among which something chooses that a unit could know: whether it is active itself (`own`),
or the label (`label`). With a matrix of its own for each sample the oracle is `ottt`, which a test shows.

Settings are those of opzo_length.py, whose learning rates and runs on 60,000 images are used; those of oracles are
chosen in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from _oracle import Choice, oracle
from _records import FOLDER, given_from, train_missing
from _tables import SEEDS, parser, write
from onchip.runs.config import RunConfig
from onchip.runs.record import Record, read
from opzo_length import (
    BASE,
    BP,
    FLOAT32,
    LEARNING_RATES,
    MAIN,
    NETS,
    THIRD,
    TUNING_SEED,
    at,
    chosen_nets,
    compared,
    with_rule,
)
from opzo_length import RECORDS as LENGTH
from opzo_length import learning_rate as rate_of_rule

RECORDS = FOLDER / "opzo_oracle.jsonl"
TUNING = FOLDER / "opzo_oracle_tuning.jsonl"

SCALE = 0.2  # of the noise of `opzo` and `noisy_bp`
OTHERS: dict[str, Choice] = {"oracle:choice=own": "own", "oracle:choice=label": "label"}
ORACLES = {
    "oracle": partial(oracle, bfloat16=True),
    f"oracle:scale={SCALE}": partial(oracle, scale=SCALE, bfloat16=True),
    # With one matrix of ten per image, ten times the images for as good a mean.
    "oracle:choice=own": partial(oracle, choice="own", bfloat16=True),
    "oracle:choice=label": partial(oracle, choice="label", images=32, momentum=0.98, bfloat16=True),
}
"""Oracles by the names that tables and records have for them."""
given = given_from(ORACLES)

QUIET = f"opzo:quiet_after={THIRD}"
ROWS = (BP, "noisy-bp", "oracle", f"oracle:scale={SCALE}", QUIET, "opzo", "oracle:choice=own", "oracle:choice=label")
SIZES = ((15_000, 4), MAIN)
"""Training images and epochs."""


def tuning(net: str) -> Iterator[RunConfig]:
    """The runs that choose the learning rates of oracles with one matrix; the others take that without noise."""
    for rule in ("oracle", f"oracle:scale={SCALE}"):
        for lr in LEARNING_RATES:
            config = replace(FLOAT32, net=net, train_size=4_000, epochs=4, validation=0.05, seed=TUNING_SEED, lr=lr)
            yield replace(config, rule=rule, precision=BASE.precision)


def learning_rate(net: str, rule: str) -> float:
    """The learning rate with the best validation accuracy."""
    if rule not in ORACLES:
        return rate_of_rule(net, rule)
    name = "oracle" if rule in OTHERS else rule
    tried = [record for record in read(TUNING) if record.settings["net"] == net and record.label == name]
    best = max(tried, key=lambda record: (record.validation_accuracy or 0.0, -float(record.settings["lr"])))
    return float(best.settings["lr"])


def runs(net: str, size: int, epochs: int, seed: int) -> Iterator[RunConfig]:
    """The runs of one seed; those of 60,000 images without an oracle are in opzo_length.py."""
    for rule in ROWS:
        if rule in ORACLES or (size, epochs) != MAIN:
            config = replace(BASE, net=net, train_size=size, epochs=epochs, seed=seed)
            yield replace(with_rule(config, rule), lr=learning_rate(net, rule))


def tables() -> dict[str, str]:
    """The gap of each row, for each number of images."""
    longer = [record for record in read(LENGTH) if record.settings["precision"] == BASE.precision]
    records = [record for record in (*read(RECORDS), *longer) if record.data == BASE.data]
    parts = []
    for size, epochs in SIZES:
        found = {net: unique(at(records, net, size, epochs)) for net in NETS}
        if any(record.rule == "oracle" for those in found.values() for record in those):
            parts += [f"{size:,} images, {epochs} epochs:", compared(ROWS, found)]
    return {"opzo_oracle": "\n\n".join(parts)}


def unique(records: list[Record]) -> list[Record]:
    """The first record of each rule and seed: some runs are in the records of both experiments."""
    return list({(record.label, record.seed): record for record in reversed(records)}.values())[::-1]


def main() -> None:
    arguments = parser(__doc__, "opzo.md")
    arguments.add_argument("--nets", default=",".join(NETS), help="networks, separated by commas")
    options = arguments.parse_args()
    if options.table:
        write("opzo.md", tables())
        return
    nets = chosen_nets(arguments, options.nets)
    for net in nets:
        train_missing(TUNING, tuning(net), given=given)
    for size, epochs in SIZES:
        for seed in SEEDS:
            for net in nets:
                train_missing(RECORDS, runs(net, size, epochs, seed), given=given)


if __name__ == "__main__":
    main()
