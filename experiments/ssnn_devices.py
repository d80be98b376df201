"""Spike-based backpropagation onto memory cells that are not ideal: how good must a device be?

Differences in points from ideal cells, which reach 81.81 %, as mean ± standard deviation of n = 3 seeds: pulses with a
quantum of 0.001 and hard bounds at ±0.6, +0.17 ± 0.22; with all spreads (30 % from pulse to pulse, 30 % of quantum and
bounds from cell to cell, 0.02 of asymmetry), +0.20 ± 0.12; with a quantum of 0.01, -0.91 ± 0.42. Two faults cost
accuracy: pulses up that are 1.5 times as large as pulses down, -9.37 ± 2.51, and soft bounds, -2.55 ± 0.45.

    python experiments/ssnn_devices.py            trains the runs that experiments/records/ssnn_devices.jsonl lacks
    python experiments/ssnn_devices.py --table    writes the table in docs/devices.md from the records

Every row is a run of `onchip.training` with `ssnn_bp` on 10,000 images of Fashion-MNIST, 784-200-10, T = 8, two epochs;
only the memory cells differ. The 10,000 test images are evaluated once per run, after its last step, by the spiking
network, with spike trains as long as in training. One seed gives every row the same first weights and the same order of
images, so differences are taken per seed.

Reference: Gokmen and Vlasov 2016 (Front. Neurosci. 10:333), who describe these faults.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import replace

import torch

from _records import FOLDER, accuracy, difference, train_missing
from _tables import SEEDS, command, spread
from onchip.report.markdown import markdown_table
from onchip.runs.config import RunConfig
from onchip.runs.record import Record, read

RECORDS = FOLDER / "ssnn_devices.jsonl"
BASE = RunConfig(
    rule="ssnn_bp",
    data="fashion-mnist",
    train_size=10_000,
    validation=0.0,
    net="mlp-narrow",
    neuron="stochastic",
    steps=8,
    epochs=2,
    batch_size=20,
    lr=0.15,
    schedule="cosine",
)
FAULTS = "cycle_spread=0.3;quantum_spread=0.3;asymmetry_spread=0.02;bound_spread=0.3"
ROWS = {
    "ideal": "ideal",
    "all spreads": f"pulsed:{FAULTS}",
    "quantum 0.001": "pulsed",
    "quantum 0.000375": "pulsed:quantum=0.000375",
    "quantum 0.003": "pulsed:quantum=0.003",
    "quantum 0.01": "pulsed:quantum=0.01",
    "spread from pulse to pulse 1": "pulsed:cycle_spread=1",
    "asymmetry 0.2": "pulsed:asymmetry=0.2",
    "soft bounds": "pulsed:softness=1",
}
"""The memory cells of each row. Unless a row says otherwise: pulses with a quantum of 0.001, bounds ±0.6."""

MORE = {
    "asymmetry 0.2 from cell to cell": "pulsed:asymmetry_spread=0.2",
    "all spreads, asymmetry 0.02": f"pulsed:asymmetry=0.02;{FAULTS}",
    "asymmetry 0.1": "pulsed:asymmetry=0.1",
    "quantized, 1,201 states": "quantized",
    "quantized, 121 states": "quantized:states=121",
    "a tenth stuck at the bounds": "pulsed:stuck=0.1;stuck_at=bound",
    "all spreads, soft bounds": f"pulsed:softness=1;{FAULTS}",
    "Poisson pulses": "pulsed:thinning=poisson",
}
"""Rows that are trained after all seeds of the others."""


def configs() -> Iterator[RunConfig]:
    """All runs: seed by seed for the main rows, then row by row for the others."""
    for synapses, seed in (
        *((synapses, seed) for seed in SEEDS for synapses in ROWS.values()),
        *((synapses, seed) for synapses in MORE.values() for seed in SEEDS),
    ):
        yield replace(BASE, synapses=synapses, seed=seed)


def run() -> None:
    torch.set_num_threads(1)
    train_missing(RECORDS, configs())


NEAR = 0.5
"""Points within which a row counts as level with ideal cells."""


def rows() -> dict[str, dict[int, Record]]:
    """Records by row and seed, of the rows that have any."""
    by_synapses: dict[str, dict[int, Record]] = {}
    for record in read(RECORDS):
        by_synapses.setdefault(record.settings["synapses"], {})[record.seed] = record
    named = {**ROWS, **MORE}.items()
    return {name: by_synapses[synapses] for name, synapses in named if synapses in by_synapses}


def points(name: str) -> list[float]:
    """Test accuracies of a row minus those of ideal cells, seed by seed."""
    ideal = rows()["ideal"]
    return [difference(run, ideal[seed]) for seed, run in rows()[name].items()]


def table() -> str:
    lines = [
        (
            name,
            str(len(runs)),
            spread([accuracy(run) for run in runs.values()]),
            "" if name == "ideal" else spread(points(name), "+"),
            f"{statistics.mean(run.ledger['cell_writes_mean'] for run in runs.values()):,.0f}",
            f"{max(run.ledger['cell_writes_max'] for run in runs.values()):,.0f}",
        )
        for name, runs in rows().items()
    ]
    header = ("cells", "seeds", "accuracy %", "against the ideal device", "writes per cell", "most writes to one cell")
    return markdown_table(header, lines)


def found() -> str:
    """Which rows are level with ideal cells, and how far the others are from them."""
    names = [name for name in rows() if name != "ideal"]
    level = [name for name in names if abs(statistics.mean(points(name))) <= NEAR]
    others = sorted(set(names) - set(level), key=lambda name: statistics.mean(points(name)), reverse=True)
    seeds = sorted({len(runs) for runs in rows().values()})
    n = "-".join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))
    further = "; ".join(f"{name} {spread(points(name), '+')}" for name in others)
    return (
        f"- Within {NEAR} points of ideal cells, as a mean of n = {n} seeds: {'; '.join(level)}.\n"
        f"- Further away, in points: {further}."
    )


def tables() -> dict[str, str]:
    return {"ssnn_devices_found": found(), "ssnn_devices": table()}


if __name__ == "__main__":
    command(__doc__, "devices.md", tables, run)
