"""What the experiments on spike-based backpropagation share: rows, what is measured of their weights, and tables.

The loss of a spiking network against the clipped one has two parts, each a difference of two accuracies per seed:

    training noise    what backpropagation's weights reach in the clipped network, minus what these weights reach there
    read-out noise    what these weights reach in the clipped network, minus what they reach with spikes
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from _records import append_lines, read_lines
from _tables import spread
from onchip.data import Dataset, Split
from onchip.data.samples import FLOAT_IMAGES, RECORDINGS
from onchip.encoding import Frames
from onchip.nn.signals import Static, tensor_of
from onchip.report.markdown import markdown_table
from onchip.runs.config import RunConfig
from onchip.training.builder import build, load_data
from onchip.training.loop import accuracy, train
from onchip.training.prediction import predict
from onchip.training.resolved import resolve
from onchip.training.trained import load

CLIPPED: dict[str, Any] = {"rule": "bp", "neuron": "rate", "steps": 1, "loss": "steploss:0"}
OURS: dict[str, Any] = {"rule": "ssnn_bp", "neuron": "stochastic"}
INTEGRATED: dict[str, Any] = {**OURS, "neuron": "stochastic:potential=integrate"}
"""Neurons that subtract what they sent."""
REFERENCE = "clipped network"
"""What begins the name of a row of the clipped network."""

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
        lengths: Time steps T for which the trained network reads the test samples, too.
        passes: Numbers of passes of the length of training whose outputs are averaged, too.
        mean_of: Where samples are recordings: T of the spikes whose mean over time is the input; None for the spikes.
    """

    table: str
    name: str
    settings: dict[str, Any]
    lengths: tuple[int, ...] = ()
    passes: tuple[int, ...] = ()
    mean_of: int | None = None

    def config(self, seed: int) -> RunConfig:
        return dataclasses.replace(BASE, seed=seed, **self.settings)


def run_rows(rows: Iterable[Row], path: Path, seeds: Iterable[int], *, tuning: bool = False) -> None:
    """Trains the runs that the file lacks, seed by seed, so that an interrupted table is balanced."""
    torch.set_num_threads(1)
    done = {(entry["table"], entry["row"], entry["record"]["seed"]) for entry in read_lines(path)}
    loaded: dict[tuple[str, int | None, float, int | None], Dataset] = {}
    rows = tuple(rows)
    for seed in seeds:
        for row in rows:
            if (row.table, row.name, seed) in done:
                continue
            config = row.config(seed)
            key = config.data, config.train_size, config.validation, row.mean_of
            if key not in loaded:
                loaded[key] = averaged(load_data(config), row.mean_of)
            data = loaded[key]
            entry = measured(row, config, dataclasses.replace(data, test=data.validation) if tuning else data)
            append_lines(path, [entry])
            record = entry["record"]
            print(
                f"{row.table}: {row.name}, seed {seed}: {record['test_accuracy']:.4f}, as clipped "
                f"{entry['as_clipped']:.4f}, {record['seconds']:.0f} s",
                flush=True,
            )


def measured(row: Row, config: RunConfig, data: Dataset) -> dict[str, Any]:
    """Trains one network; its record, and what its weights reach in the clipped network and in longer trains."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        record = train(config, data, model=path, weights=path / "weights.safetensors")
        clipped = dataclasses.replace(config, encoder=None, **CLIPPED)
        model = build(resolve(clipped, data)).model
        model.load_state_dict(load_file(path / "weights.safetensors"))
        as_clipped = accuracy(model, data.test, lambda samples: mean_image(samples, config.steps), 250)
        read = read_longer(path, row, data.test)
    return {
        "table": row.table,
        "row": row.name,
        "as_clipped": as_clipped,
        **read,
        "record": json.loads(record.to_json()),
    }


def read_longer(folder: Path, row: Row, test: Any) -> dict[str, dict[str, float]]:
    """Accuracy of a trained network by T, and by the number of passes whose outputs are averaged."""
    saved = load(folder)
    facts = saved.input
    assert facts is not None, "training says how samples become the input"
    labels: Tensor = test.sample_labels

    def share(scores: Tensor) -> float:
        return (scores.argmax(-1) == labels).double().mean().item()

    lengths = {str(steps): share(saved.predict(test, steps=steps, batch_size=250).scores) for steps in row.lengths}
    passes, total = {}, torch.zeros(len(labels), len(saved.classes))
    for count in range(1, max(row.passes, default=0) + 1):
        again = dataclasses.replace(facts, seed=facts.seed + count)  # a seed for each pass: other spikes
        total += predict(saved.model, again, saved.classes, test).scores
        if count in row.passes:
            passes[str(count)] = share(total)
    return {name: found for name, found in (("lengths", lengths), ("passes", passes)) if found}


def mean_image(samples: Tensor, steps: int) -> Static:
    """Static images; of a recording, the mean of its spikes over time."""
    return Static(tensor_of(Frames(steps)(samples)).mean(0) if samples.dim() == 5 else samples, 1)


def averaged(data: Dataset, steps: int | None) -> Dataset:
    """Each recording as one image, the mean of its spikes over T steps; the data as they are without T."""
    if steps is None:
        return data

    def still(split: Any) -> Split:
        assert split.kind is RECORDINGS, "only recordings have spikes to average"
        return Split(tensor_of(mean_image(split.samples.float() / 255, steps)), split.labels, FLOAT_IMAGES)

    return dataclasses.replace(data, train=still(data.train), validation=still(data.validation), test=still(data.test))


HEADER = ("row", "seeds", "accuracy %", "as clipped %", "against the clipped network's", "training", "read-out")


def tables_of(path: Path, *, bits: bool = True) -> str:
    """A table for each title in a file of records."""
    titles: dict[str, list[dict[str, Any]]] = {}
    for entry in read_lines(path):
        titles.setdefault(entry["table"], []).append(entry)
    parts = []
    for title, entries in titles.items():
        names = dict.fromkeys(entry["row"] for entry in entries)
        header = (*HEADER, "bits transported / step") if bits else HEADER
        rows = [cells(name, entries)[: len(header)] for name in names]
        parts += [heading(title, entries, tuning=path.stem.endswith("_tuning")), markdown_table(header, rows)]
    return "\n\n".join(parts)


def heading(title: str, entries: Sequence[dict[str, Any]], *, tuning: bool = False) -> str:
    """What a table shows, and the settings that its rows share."""
    record = entries[0]["record"]
    settings, kind = record["settings"], "recordings" if record["data"] == "n-mnist" else "images"
    rates = {entry["record"]["settings"]["lr"] for entry in entries}
    lr = f"from {rates.pop():g} " if len(rates) == 1 else ""
    return (
        f"**{title}**: {record['train_size']:,} training and {record['test_size']:,} "
        f"{'validation' if tuning else 'test'} {kind}, {record['epochs']} epochs, batch {settings['batch_size']}, "
        f"SGD {lr}by cosine to 0:"
    )


@dataclass(frozen=True)
class References:
    """Accuracies of the clipped network, by seed and learning rate.

    Args:
        accuracies: In [0, 1].
    """

    accuracies: dict[tuple[int, float], float]

    @classmethod
    def of(cls, entries: Iterable[dict[str, Any]]) -> References:
        clipped = [entry for entry in entries if entry["row"].startswith(REFERENCE)]
        return cls({_key(entry): entry["as_clipped"] for entry in clipped})

    def find(self, entry: dict[str, Any]) -> float | None:
        """That of the same seed: the only one, or the one with the same learning rate; None without one."""
        of_seed = [accuracy for (seed, _), accuracy in self.accuracies.items() if seed == entry["record"]["seed"]]
        return of_seed[0] if len(of_seed) == 1 else self.accuracies.get(_key(entry))


def _key(entry: dict[str, Any]) -> tuple[int, float]:
    return entry["record"]["seed"], entry["record"]["settings"]["lr"]


def noise(runs: Iterable[dict[str, Any]], references: References) -> list[tuple[float, ...]]:
    """Points from the clipped network to these runs, one by one: all, those of training, those of the read-out."""
    found: list[tuple[float, ...]] = []
    for run in runs:
        spiking, clipped, best = run["record"]["test_accuracy"], run["as_clipped"], references.find(run)
        if best is not None:
            found.append((100 * (spiking - best), 100 * (clipped - best), 100 * (spiking - clipped)))
    return found


def cells(name: str, entries: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """One row of a table: means ± standard deviations over its seeds."""
    runs = [entry for entry in entries if entry["row"] == name]
    parts = [] if name.startswith(REFERENCE) else noise(runs, References.of(entries))
    ledger = runs[0]["record"]["ledger"]
    moved = (ledger["transport_value_bits"] + ledger["transport_index_bits"]) / ledger["steps"]
    return (
        name,
        str(len(runs)),
        spread([100 * run["record"]["test_accuracy"] for run in runs]),
        spread([100 * run["as_clipped"] for run in runs]),
        *(spread([part[which] for part in parts], "+") if parts else "" for which in range(3)),
        f"{moved:,.0f}",
    )
