"""Spike-based backpropagation against the real-valued network that it approximates: how short may spike trains be?

    python experiments/ssnn.py            trains the runs that experiments/records/ssnn.jsonl lacks
    python experiments/ssnn.py --tune     makes the runs on validation samples that chose the learning rates
    python experiments/ssnn.py --table    writes the tables in docs/ssnn.md from the records
    python experiments/ssnn.py --only conv-8    trains one group of rows alone

Every row is a run of `onchip.training` with the settings in its record. The test samples are evaluated twice per run,
after its last step: by the spiking network, with spike trains as long as in training, and by the clipped network with
the same weights ("as clipped"), which the spike trains approach as T grows. One seed gives every row the same first
weights and the same order of samples, so differences are taken per seed. CIFAR-10 is read from image files in a folder
`cifar10-jpeg` in the working directory.

Reference: Biswas, Saraswat, Ganguly 2023 (SSNN-BP, arXiv 2207.09755); random phases, counts and mirrors are ours.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import _ssnn_deep
from _records import FOLDER, read_lines
from _ssnn import BASE, CLIPPED, INTEGRATED, OURS, Row, run_rows, tables_of
from _ssnn_deep import deep_tables
from _ssnn_found import found
from _tables import SEEDS, parser, write

__all__ = ["BASE", "CLIPPED", "OURS", "TRIED", "tables"]

RECORDS = FOLDER / "ssnn.jsonl"
TUNING = FOLDER / "ssnn_tuning.jsonl"
TUNING_SEEDS = (1000, 1001, 1002)

PAPER: dict[str, Any] = {
    "rule": "ssnn_bp:gain=2;train=bernoulli;temporal=coincidences",
    "neuron": "stochastic:train=bernoulli",
    "encoder": "poisson",
    "loss": "winner",
}
SPIKING = "temporal=counts;code=spikes"


def length_rows(data: str) -> list[Row]:
    """Rows that vary the length of spike trains, on all images of a data set."""
    table = f"784-200-10, all of {data}"
    return [
        Row(table, "clipped network, bp", {"data": data, **CLIPPED}),
        Row(table, "ours, T = 8", {"data": data, **OURS, "steps": 8}),
        Row(table, "ours, T = 16", {"data": data, **OURS, "steps": 16}),
        Row(table, "integrate, T = 8", {"data": data, **INTEGRATED, "steps": 8}),
        Row(table, "the paper's streams, T = 32", {"data": data, **PAPER, "steps": 32}),
    ]


def feedback_rows() -> list[Row]:
    """Rows that vary the feedback weights, with spikes as activity and as errors."""
    shared = {"net": "mlp-tapered", "neuron": "stochastic", "steps": 8}
    rules = {
        "ssnn_bp": "ssnn_bp",
        "frozen, 1,000 times fewer bits": f"fbp:{SPIKING}",
        "own-noise mirror": "own_noise_mirror",
        "never transported": f"never:{SPIKING}",
        "random": f"fa:{SPIKING}",
    }
    table = "784-200-100-10, all of fashion-mnist, T = 8"
    rows = [Row(table, "clipped network, bp", {**CLIPPED, "net": "mlp-tapered"})]
    return rows + [Row(table, name, {**shared, "rule": rule}) for name, rule in rules.items()]


def part_rows() -> list[Row]:
    """Rows that change one part at a time."""
    shared = {"train_size": 10_000, "epochs": 5, "steps": 8}
    table = "784-200-10, 10,000 images of fashion-mnist, T = 8, one part changed at a time"
    changed: dict[str, dict[str, Any]] = {
        "ours": OURS,
        "winner-take-all": {**OURS, "loss": "winner"},
        "coincidences": {**OURS, "rule": "ssnn_bp:temporal=coincidences"},
        "Bernoulli errors": {**OURS, "rule": "ssnn_bp:train=bernoulli"},
        "Bernoulli activity": {**OURS, "neuron": "stochastic:train=bernoulli"},
        "Bernoulli input": {**OURS, "encoder": "poisson"},
        "gate by count": {**OURS, "neuron": "stochastic:gate=count"},
        "potential filtered": {**OURS, "neuron": "stochastic:potential=filter"},
        "potential instantaneous": {**OURS, "neuron": "stochastic:potential=instant"},
        "potential integrated": INTEGRATED,
        "gain 1": {**OURS, "rule": "ssnn_bp:gain=1"},
        "gain 4": {**OURS, "rule": "ssnn_bp:gain=4"},
        "the paper's streams": PAPER,
        "real errors (bp)": {**OURS, "rule": "bp"},
    }
    return [
        Row(table, "clipped network, bp", {**shared, **CLIPPED}),
        *(Row(table, name, {**shared, **settings}) for name, settings in changed.items()),
    ]


CONV: dict[str, Any] = {"net": "conv-small", "train_size": 10_000, "epochs": 5, "lr": 0.2}


def conv_rows(steps: int) -> list[Row]:
    """Rows of a convolutional network, whose errors are small, so that a larger gain clips none."""
    table = f"16C3-P2-32C3-P2-10, 10,000 images of fashion-mnist, T = {steps}"
    rules = {
        "integrate, gain 8": {**INTEGRATED, "rule": "ssnn_bp:gain=8"},
        "integrate, own-noise mirror, gain 8": {**INTEGRATED, "rule": "own_noise_mirror:gain=8"},
        "gain 8": {**OURS, "rule": "ssnn_bp:gain=8"},
        "ours": OURS,
        "own-noise mirror, gain 8": {**OURS, "rule": "own_noise_mirror:gain=8"},
    }
    spiking = (Row(table, name, {**CONV, "steps": steps, **settings}, (64,)) for name, settings in rules.items())
    return [Row(table, "clipped network, bp", {**CONV, **CLIPPED}), *spiking]


EVENTS: dict[str, Any] = {"data": "n-mnist", "epochs": 20, "batch_size": 20}
EVENT_STEPS = 12


def event_rows() -> list[Row]:
    """Rows of recordings of an event camera, whose spikes are the input; each at the best rate of its own kind."""
    table = "2,312-200-10, the part of n-mnist available here, T = 12"
    clipped, spiking = (best_rate("n-mnist, validation", name) for name in ("clipped network", "ours"))
    rows: dict[str, dict[str, Any]] = {
        "ours": OURS,
        "integrate": INTEGRATED,
        "own-noise mirror": {**OURS, "rule": "own_noise_mirror"},
        "real errors (bp)": {**OURS, "rule": "bp"},
    }
    return [
        Row(table, "clipped network, bp", {**EVENTS, **CLIPPED, "lr": clipped}, mean_of=EVENT_STEPS),
        *(
            Row(table, name, {**EVENTS, **settings, "steps": EVENT_STEPS, "lr": spiking})
            for name, settings in rows.items()
        ),
    ]


COLOUR: dict[str, Any] = {"data": "folder:cifar10-jpeg", "net": "conv-small", "train_size": 10_000, "epochs": 5}


def colour_rows() -> list[Row]:
    """Rows of CIFAR-10 at the learning rate that is best for the clipped network."""
    shared = {**COLOUR, "lr": best_rate("cifar-10, validation", "clipped network")}
    table = "16C3-P2-32C3-P2-10, 10,000 images of cifar-10 (JPEG), T = 16"
    return [
        Row(table, "clipped network, bp", {**shared, **CLIPPED}),
        Row(table, "gain 8", {**shared, **OURS, "rule": "ssnn_bp:gain=8", "steps": 16}, (64,)),
        Row(table, "real errors (bp)", {**shared, **OURS, "rule": "bp", "steps": 16}, (64,)),
    ]


GROUPS: dict[str, tuple[Callable[[], list[Row]], tuple[int, ...]]] = {
    "fashion-mnist": (lambda: [*length_rows("fashion-mnist"), *feedback_rows()], SEEDS),
    "mnist": (lambda: length_rows("mnist"), SEEDS),
    "parts": (part_rows, SEEDS),
    "n-mnist": (event_rows, SEEDS),
    "conv-8": (lambda: conv_rows(8), SEEDS),
    "conv-16": (lambda: conv_rows(16), SEEDS),
    "cifar-10": (colour_rows, SEEDS[:1]),
}
"""What makes the rows of a group, and its seeds; all seeds of a group are run before the next group."""


TRIED = tuple(
    Row("validation", f"{name}, lr {lr:g}", {**settings, "lr": lr, "validation": 0.1})
    for lr in (0.1, 0.2, 0.4)
    for name, settings in (("clipped network, bp", CLIPPED), ("ours, T = 8", {**OURS, "steps": 8}))
)
TRIED_EVENTS = tuple(
    Row("n-mnist, validation", f"{name}, lr {lr:g}", {**EVENTS, **settings, "lr": lr, "validation": 0.2}, mean_of=mean)
    for lr in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
    for name, settings, mean in (
        ("clipped network", CLIPPED, EVENT_STEPS),
        ("ours", {**OURS, "steps": EVENT_STEPS}, None),
    )
)
TRIED_GAINS = tuple(
    Row(
        "convolutions, validation, T = 8",
        f"gain {gain}",
        {**CONV, **OURS, "steps": 8, "rule": f"ssnn_bp:gain={gain}", "validation": 0.1},
    )
    for gain in (8, 2, 4, 16)
)
TRIED_COLOUR = tuple(
    Row("cifar-10, validation", f"clipped network, lr {lr:g}", {**COLOUR, **CLIPPED, "lr": lr, "validation": 0.1})
    for lr in (0.05, 0.1, 0.2, 0.4, 0.8)
)


def best_rate(table: str, name: str) -> float:
    """The learning rate with the best mean validation accuracy over the tuning seeds; the lowest of equals."""
    found: dict[float, list[float]] = {}
    for entry in read_lines(TUNING):
        if entry["table"] == table and entry["row"].startswith(name):
            found.setdefault(entry["record"]["settings"]["lr"], []).append(entry["record"]["test_accuracy"])
    assert found, f"run `python experiments/ssnn.py --tune` first: there are no runs of {name!r} in {table!r}"
    return min(found, key=lambda lr: (-statistics.mean(found[lr]), lr))


TUNINGS = {
    "rates": (TRIED, (1000,)),
    "n-mnist": (TRIED_EVENTS, TUNING_SEEDS),
    "gains": (TRIED_GAINS, (1000,)),
    "cifar-10": (TRIED_COLOUR, (1000,)),
}


def run(only: str | None = None) -> None:
    """Trains one group, or all; learning rates that were tuned are looked up when a group begins."""
    for name, (make, seeds) in GROUPS.items():
        if only in (None, name):
            run_rows(make(), RECORDS, seeds)


def tune(only: str | None = None) -> None:
    for name, (rows, seeds) in TUNINGS.items():
        if only in (None, name):
            run_rows(rows, TUNING, seeds, tuning=True)


def tables() -> dict[str, str]:
    """All of the page, that of `ssnn_deep.py` too."""
    tuned = [tables_of(path) for path in (TUNING, _ssnn_deep.TUNING) if path.exists()]
    return {
        "ssnn_found": found([*read_lines(RECORDS), *read_lines(_ssnn_deep.RECORDS)]),
        "ssnn": "\n\n".join([tables_of(RECORDS), *deep_tables()]),
        "ssnn_tuning": "\n\n".join(tuned),
    }


if __name__ == "__main__":
    arguments = parser(__doc__, "ssnn.md")
    arguments.add_argument("--tune", action="store_true", help="compare settings on validation samples")
    arguments.add_argument("--only", choices=sorted({*GROUPS, *TUNINGS}), help="train this group of rows alone")
    options = arguments.parse_args()
    if options.table:
        write("ssnn.md", tables())
    elif options.tune:
        tune(options.only)
    else:
        run(options.only)
