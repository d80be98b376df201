"""Spike-based backpropagation against the real-valued network that it approximates: how short may spike trains be?

    python experiments/ssnn.py            trains the runs that experiments/records/ssnn.jsonl lacks
    python experiments/ssnn.py --tune     makes the runs on validation images that chose the learning rate
    python experiments/ssnn.py --table    writes the tables in docs/ssnn.md from the records

Every row is a run of `onchip.training` with the settings in its record. The test images are evaluated twice per run,
after its last step: by the spiking network, with spike trains as long as in training, and by the clipped network with
the same weights ("as clipped"), which the spike trains approach as T grows. One seed gives every row the same first
weights and the same order of images, so differences are taken per seed.

Reference: Biswas, Saraswat, Ganguly 2023 (SSNN-BP, arXiv 2207.09755); random phases, counts and mirrors are ours.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from _records import FOLDER, append_lines, read_lines
from _tables import SEEDS, command, spread
from onchip.data import Dataset
from onchip.encoding import Frames
from onchip.nn.signals import Static, tensor_of
from onchip.report.markdown import markdown_table
from onchip.runs.config import RunConfig
from onchip.training.builder import build, load_data
from onchip.training.loop import accuracy, train
from onchip.training.resolved import resolve

RECORDS = FOLDER / "ssnn.jsonl"
TUNING = FOLDER / "ssnn_tuning.jsonl"

BASE = RunConfig(
    data="fashion-mnist",
    net="mlp-narrow",
    optimizer="sgd",
    momentum=0.0,
    lr=0.2,
    schedule="cosine",
    epochs=3,
    batch_size=50,
    validation=0.0,
)


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Args:
        table: The title of its table.
        name: The name of the row.
        settings: The settings that differ from `BASE`.
    """

    table: str
    name: str
    settings: dict[str, Any]

    def config(self, seed: int) -> RunConfig:
        return dataclasses.replace(BASE, seed=seed, **self.settings)


CLIPPED: dict[str, Any] = {"rule": "bp", "neuron": "rate", "steps": 1, "loss": "steploss:0"}
PAPER: dict[str, Any] = {
    "rule": "ssnn_bp:gain=2;train=bernoulli;temporal=coincidences",
    "neuron": "stochastic:train=bernoulli",
    "encoder": "poisson",
    "loss": "winner",
}
OURS: dict[str, Any] = {"rule": "ssnn_bp", "neuron": "stochastic"}
SPIKING = "temporal=counts;code=spikes"


def length_rows(data: str) -> list[Row]:
    """Rows that vary the length of spike trains, on all images of a data set."""
    table = f"784-200-10, all of {data}"
    return [
        Row(table, "clipped network, bp", {"data": data, **CLIPPED}),
        Row(table, "ours, T = 8", {"data": data, **OURS, "steps": 8}),
        Row(table, "ours, T = 16", {"data": data, **OURS, "steps": 16}),
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
        "gain 1": {**OURS, "rule": "ssnn_bp:gain=1"},
        "gain 4": {**OURS, "rule": "ssnn_bp:gain=4"},
        "the paper's streams": PAPER,
        "real errors (bp)": {**OURS, "rule": "bp"},
    }
    return [
        Row(table, "clipped network, bp", {**shared, **CLIPPED}),
        *(Row(table, name, {**shared, **settings}) for name, settings in changed.items()),
    ]


def conv_rows() -> list[Row]:
    """Rows of a convolutional network."""
    shared = {"net": "conv-small", "train_size": 10_000, "epochs": 5, "lr": 0.2}
    table = "16C3-P2-32C3-P2-10, 10,000 images of fashion-mnist, T = 8"
    return [
        Row(table, "clipped network, bp", {**shared, **CLIPPED}),
        *(
            Row(table, name, {**shared, **OURS, "rule": rule, "steps": 8})
            for name, rule in (("ours", "ssnn_bp"), ("own-noise mirror", "own_noise_mirror"))
        ),
    ]


def event_rows() -> list[Row]:
    """Rows of recordings of an event camera, whose spikes are the input."""
    shared = {"data": "n-mnist", **OURS, "steps": 12, "epochs": 20, "lr": 0.1, "batch_size": 20}
    rules = {"ssnn_bp": "ssnn_bp", "own-noise mirror": "own_noise_mirror", "real errors (bp)": "bp"}
    table = "2,312-200-10, the part of n-mnist available here, T = 12"
    return [Row(table, name, {**shared, "rule": rule}) for name, rule in rules.items()]


ROWS = (  # all seeds of a group are run before the next group
    (*length_rows("fashion-mnist"), *feedback_rows()),
    tuple(length_rows("mnist")),
    tuple(part_rows()),
    tuple(conv_rows()),
    tuple(event_rows()),
)

TRIED = tuple(
    Row("validation", f"{name}, lr {lr:g}", {**settings, "lr": lr, "validation": 0.1})
    for lr in (0.1, 0.2, 0.4)
    for name, settings in (("clipped network, bp", CLIPPED), ("ours, T = 8", {**OURS, "steps": 8}))
)


def run_rows(rows: Iterable[Row], path: Path, seeds: Iterable[int], *, tuning: bool = False) -> None:
    """Trains the runs that the file lacks, seed by seed, so that an interrupted table is balanced."""
    torch.set_num_threads(1)
    done = {(entry["table"], entry["row"], entry["record"]["seed"]) for entry in read_lines(path)}
    loaded: dict[tuple[str, int | None, float], Dataset] = {}
    rows = tuple(rows)
    for seed in seeds:
        for row in rows:
            if (row.table, row.name, seed) in done:
                continue
            config = row.config(seed)
            data = loaded.setdefault((config.data, config.train_size, config.validation), load_data(config))
            entry = measured(row, config, dataclasses.replace(data, test=data.validation) if tuning else data)
            append_lines(path, [entry])
            record = entry["record"]
            print(
                f"{row.table}: {row.name}, seed {seed}: {record['test_accuracy']:.4f}, as clipped "
                f"{entry['as_clipped']:.4f}, {record['seconds']:.0f} s",
                flush=True,
            )


def run() -> None:
    for rows in ROWS:
        run_rows(rows, RECORDS, SEEDS)


def tune() -> None:
    run_rows(TRIED, TUNING, (1000,), tuning=True)


def measured(row: Row, config: RunConfig, data: Dataset) -> dict[str, Any]:
    """Trains one network; returns its record and the accuracy of its weights in the clipped network."""
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.safetensors"
        record = train(config, data, weights=weights)
        clipped = dataclasses.replace(config, encoder=None, **CLIPPED)
        model = build(resolve(clipped, data)).model
        model.load_state_dict(load_file(weights))
    as_clipped = accuracy(model, data.test, functools.partial(mean_image, steps=config.steps), 250)
    return {"table": row.table, "row": row.name, "as_clipped": as_clipped, "record": json.loads(record.to_json())}


def mean_image(images: torch.Tensor, steps: int) -> Static:
    """Static images; of a recording, the mean of its spikes over time."""
    return Static(tensor_of(Frames(steps)(images)).mean(0) if images.dim() == 5 else images, 1)


def tables() -> dict[str, str]:
    return {path.stem: tables_of(path) for path in (RECORDS, TUNING)}


def tables_of(path: Path) -> str:
    """A table for each title in a file of records."""
    titles: dict[str, list[dict[str, Any]]] = {}
    for entry in read_lines(path):
        titles.setdefault(entry["table"], []).append(entry)
    header = ("row", "seeds", "accuracy %", "as clipped %", "against the clipped network's", "bits transported / step")
    split, parts = "validation" if path == TUNING else "test", []
    for title, entries in titles.items():
        record = entries[0]["record"]
        settings = record["settings"]
        parts += [
            f"**{title}**: {record['train_size']:,} training and {record['test_size']:,} {split} images, "
            f"{record['epochs']} epochs, batch {settings['batch_size']}, SGD from {settings['lr']:g} by cosine to 0:",
            markdown_table(header, [cells(name, entries) for name in dict.fromkeys(entry["row"] for entry in entries)]),
        ]
    return "\n\n".join(parts)


def cells(name: str, entries: list[dict[str, Any]]) -> tuple[str, ...]:
    """One row of a table: means ± standard deviations over its seeds."""
    runs = [entry for entry in entries if entry["row"] == name]
    reference = {
        (entry["record"]["seed"], entry["record"]["settings"]["lr"]): entry["as_clipped"]
        for entry in entries
        if entry["row"].startswith("clipped network")
    }
    differences = [
        100 * (run["record"]["test_accuracy"] - reference[key])
        for run in runs
        if (key := (run["record"]["seed"], run["record"]["settings"]["lr"])) in reference
    ]
    ledger = runs[0]["record"]["ledger"]
    moved = (ledger["transport_value_bits"] + ledger["transport_index_bits"]) / ledger["steps"]
    return (
        name,
        str(len(runs)),
        spread([100 * run["record"]["test_accuracy"] for run in runs]),
        spread([100 * run["as_clipped"] for run in runs]),
        "" if name.startswith("clipped network") or not differences else spread(differences, "+"),
        f"{moved:,.0f}",
    )


if __name__ == "__main__":
    command(__doc__, "ssnn.md", tables, run, tune)
