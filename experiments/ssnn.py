"""Spike-based backpropagation against the network that its neurons stand for: how short may the trains be?

    python experiments/ssnn.py            trains what experiments/records/ssnn.jsonl does not hold yet
    python experiments/ssnn.py --tune     the runs on validation images that chose rates and gains
    python experiments/ssnn.py --table    writes the tables in docs/ssnn.md from the records

Every row is a run of `onchip.training`, with the settings that its record holds. The test images are looked at twice a
run, after its last step: by the network itself, with spike trains as long as in training, and by the clipped network
of the same weights ("as clipped"), which is what the trains approach as T grows. One seed gives every row the same
first weights and the same order of images, so differences are taken seed by seed.

Reference: Biswas, Saraswat, Ganguly 2023 (SSNN-BP, arXiv 2207.09755); random phases, counts and mirrors are ours.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import os
import statistics
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from onchip.data import Dataset
from onchip.encoding import Frames
from onchip.nn.signals import Static
from onchip.runs.config import RunConfig
from onchip.training.builder import build, load_data
from onchip.training.loop import accuracy, train

HERE = Path(__file__).resolve().parent
RECORDS = HERE / "records" / "ssnn.jsonl"
TUNING = HERE / "records" / "ssnn_tuning.jsonl"
PAGE = HERE.parent / "docs" / "ssnn.md"
END = "<!-- end of table -->"
SEEDS = (0, 1, 2)

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
        table: the table's title.
        name: the row's.
        settings: what differs from `BASE`.
    """

    table: str
    name: str
    settings: dict[str, Any]

    def spec(self, seed: int) -> RunConfig:
        return dataclasses.replace(BASE, seed=seed, **self.settings)


CLIPPED = {"rule": "bp", "neuron": "rate", "steps": 1, "loss": "steploss:0"}
PAPER = {
    "rule": "ssnn_bp:gain=2;train=bernoulli;temporal=coincidences",
    "neuron": "stochastic:train=bernoulli",
    "encoder": "poisson",
    "loss": "winner",
}
OURS = {"rule": "ssnn_bp", "neuron": "stochastic"}
SPIKING = "temporal=counts;code=spikes"


def length_rows(data: str) -> list[Row]:
    """The length of trains on all images of a data set."""
    table = f"784-200-10, all of {data}"
    return [
        Row(table, "clipped network, bp", {"data": data, **CLIPPED}),
        Row(table, "ours, T = 8", {"data": data, **OURS, "steps": 8}),
        Row(table, "ours, T = 16", {"data": data, **OURS, "steps": 16}),
        Row(table, "the paper's streams, T = 32", {"data": data, **PAPER, "steps": 32}),
    ]


def feedback_rows() -> list[Row]:
    """What errors come through, with spikes alone."""
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
    """One part changed at a time."""
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
    """A convolutional network."""
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
    """Recordings of an event camera, whose spikes go in as they are."""
    shared = {"data": "n-mnist", **OURS, "steps": 12, "epochs": 20, "lr": 0.1, "batch_size": 20}
    rules = {"ssnn_bp": "ssnn_bp", "own-noise mirror": "own_noise_mirror", "real errors (bp)": "bp"}
    table = "2,312-200-10, the part of n-mnist at hand, T = 12"
    return [Row(table, name, {**shared, "rule": rule}) for name, rule in rules.items()]


ROWS = (  # all seeds of a group before the next one begins
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


def run(rows: Iterable[Row], path: Path, seeds: Iterable[int], *, tuning: bool = False) -> None:
    """Trains what the file does not hold yet, seed by seed, so that a table cut short is balanced."""
    path.parent.mkdir(exist_ok=True)
    done = {(entry["table"], entry["row"], entry["record"]["seed"]) for entry in read(path)}
    held: dict[tuple[str, int | None, float], Dataset] = {}
    rows = tuple(rows)
    for seed in seeds:
        for row in rows:
            if (row.table, row.name, seed) in done:
                continue
            spec = row.spec(seed)
            data = held.setdefault((spec.data, spec.train_size, spec.validation), load_data(spec))
            entry = measured(row, spec, dataclasses.replace(data, test=data.validation) if tuning else data)
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
            record = entry["record"]
            print(
                f"{row.table}: {row.name}, seed {seed}: {record['test_accuracy']:.4f}, as clipped "
                f"{entry['as_clipped']:.4f}, {record['seconds']:.0f} s",
                flush=True,
            )


def measured(row: Row, spec: RunConfig, data: Dataset) -> dict[str, Any]:
    """One run -> its record and the accuracy of its weights in the clipped network."""
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.safetensors"
        record = train(spec, data, weights=weights)
        clipped = dataclasses.replace(spec, encoder=None, **CLIPPED)
        model = build(clipped, data).model
        model.load_state_dict(load_file(weights))
    by_clipped = accuracy(model, data.test, functools.partial(held_still, steps=spec.steps), 250)
    return {"table": row.table, "row": row.name, "as_clipped": by_clipped, "record": json.loads(record.to_json())}


def held_still(images: torch.Tensor, steps: int) -> Static:
    """Images as they are, and the mean of a recording's spikes."""
    return Static(Frames(steps)(images).mean(0) if images.dim() == 5 else images, 1)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def tables(path: Path) -> str:
    """A table for each title, from the records of a file alone."""
    titles: dict[str, list[dict[str, Any]]] = {}
    for entry in read(path):
        titles.setdefault(entry["table"], []).append(entry)
    parts = []
    for title, entries in titles.items():
        record = entries[0]["record"]
        settings = record["settings"]
        parts += [
            f"**{title}**: {record['train_size']:,} training images, {record['test_size']:,} others to measure on, "
            f"{record['epochs']} epochs, batch {settings['batch_size']}, SGD from {settings['lr']:g} by cosine to 0:\n",
            "| row | seeds | accuracy % | as clipped % | against the clipped network's | bits moved / step |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
            *(line(name, entries) for name in dict.fromkeys(entry["row"] for entry in entries)),
            "",
        ]
    return "\n".join(parts)


def line(name: str, entries: list[dict[str, Any]]) -> str:
    """One row of a table: means ± standard deviations over its seeds."""
    runs = [entry for entry in entries if entry["row"] == name]
    reference = {
        (entry["record"]["seed"], entry["record"]["settings"]["lr"]): entry["as_clipped"]
        for entry in entries
        if entry["row"].startswith("clipped network")
    }
    apart = [
        100 * (run["record"]["test_accuracy"] - reference[key])
        for run in runs
        if (key := (run["record"]["seed"], run["record"]["settings"]["lr"])) in reference
    ]
    ledger = runs[0]["record"]["ledger"]
    moved = (ledger["transport_value_bits"] + ledger["transport_index_bits"]) / ledger["steps"]
    cells = (
        name,
        str(len(runs)),
        spread([100 * run["record"]["test_accuracy"] for run in runs], "{:.2f}"),
        spread([100 * run["as_clipped"] for run in runs], "{:.2f}"),
        "" if name.startswith("clipped network") or not apart else spread(apart, "{:+.2f}"),
        f"{moved:,.0f}",
    )
    return f"| {' | '.join(cells)} |"


def spread(values: list[float], form: str) -> str:
    mean = form.format(statistics.mean(values))
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tune", action="store_true", help="compare learning rates on validation images")
    parser.add_argument("--table", action="store_true", help="write the tables in docs/ssnn.md from the records")
    options = parser.parse_args()
    if options.table:
        for path in (RECORDS, TUNING):
            begin = f"<!-- table: {path.stem} -->\n"
            before, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
            PAGE.write_text(
                before + begin + "\n" + tables(path) + "\n" + END + rest.partition(END)[2], encoding="utf-8"
            )
    elif options.tune:
        run(TRIED, TUNING, (1000,), tuning=True)
    else:
        for rows in ROWS:
            run(rows, RECORDS, SEEDS)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
