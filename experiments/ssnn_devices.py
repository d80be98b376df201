"""Spike-based backpropagation onto memory cells that are not ideal: how good must a device be?

n = 3 seeds, points against ideal cells' 81.81 % as mean ± standard deviation: pulses of a quantum of 0.001 with hard
bounds at ±0.6, +0.17 ± 0.22; with all spreads, 30 % from pulse to pulse and of quantum and bounds from cell to cell and
0.02 of asymmetry, +0.20 ± 0.12; a quantum of 0.01, -0.91 ± 0.42. What hurts: pulses up half as large again as those
down, -9.37 ± 2.51; soft bounds, -2.50 ± 0.52.

    python experiments/ssnn_devices.py            trains what experiments/records/ssnn_devices.jsonl does not hold yet
    python experiments/ssnn_devices.py --table    writes the table in docs/devices.md from the records

Every row is a run of `onchip.training` with `ssnn_bp` on 10,000 images of Fashion-MNIST, 784-200-10, T = 8, two epochs;
only what the weights are written to differs. The 10,000 test images are looked at once a run, after its last step, by
the network itself, with spike trains as long as in training. One seed gives every row the same first weights and the
same order of images, so differences are taken seed by seed.

Reference: Gokmen and Vlasov 2016 (Front. Neurosci. 10:333), whose faults they are.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
from pathlib import Path

import torch

from onchip.runs.config import RunConfig
from onchip.runs.record import Record, append, read
from onchip.training.builder import load_data
from onchip.training.loop import train

HERE = Path(__file__).resolve().parent
RECORDS = HERE / "records" / "ssnn_devices.jsonl"
PAGE = HERE.parent / "docs" / "devices.md"
BEGIN, END = "<!-- table: ssnn_devices -->\n", "<!-- end of table -->"
SEEDS = (0, 1, 2)

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
"""What the weights are written to; where a row does not say otherwise, pulses of a quantum of 0.001, bounds ±0.6."""

MORE = {
    "asymmetry 0.2 from cell to cell": "pulsed:asymmetry_spread=0.2",
    "all spreads, asymmetry 0.02": f"pulsed:asymmetry=0.02;{FAULTS}",
    "asymmetry 0.1": "pulsed:asymmetry=0.1",
    "quantised, 1,201 states": "quantised",
    "quantised, 121 states": "quantised:states=121",
    "a tenth stuck at the bounds": "pulsed:stuck=0.1;stuck_at=bound",
    "all spreads, soft bounds": f"pulsed:softness=1;{FAULTS}",
    "Poisson pulses": "pulsed:thinning=poisson",
}
"""Rows that are trained last."""


def run(path: Path) -> None:
    """Trains what the file does not hold yet."""
    path.parent.mkdir(exist_ok=True)
    done = {(record.settings["synapses"], record.seed) for record in read(path)}
    data = load_data(BASE)
    wanted = [(*row, seed) for seed in SEEDS for row in ROWS.items()]
    wanted += [(*row, seed) for row in MORE.items() for seed in SEEDS]
    for name, synapses, seed in wanted:
        if (synapses, seed) not in done:
            record = train(dataclasses.replace(BASE, synapses=synapses, seed=seed), data)
            append(path, record)
            print(f"{name}, seed {seed}: {record.test_accuracy:.4f}, {record.seconds:.0f} s", flush=True)


def table(records: list[Record]) -> str:
    """The table, from the records alone: means ± standard deviations over the seeds."""
    by_row: dict[str, dict[int, Record]] = {}
    for record in records:
        by_row.setdefault(record.settings["synapses"], {})[record.seed] = record
    lines = [
        "| cells | seeds | accuracy % | against the ideal device | writes a cell | most on one cell |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, synapses in {**ROWS, **MORE}.items():
        runs = by_row.get(synapses, {})
        if not runs:
            continue
        ideal = by_row[ROWS["ideal"]]
        apart = [100 * (accuracy(run) - accuracy(ideal[seed])) for seed, run in runs.items()]
        cells = (
            name,
            str(len(runs)),
            spread([100 * accuracy(run) for run in runs.values()], "{:.2f}"),
            "" if name == "ideal" else spread(apart, "{:+.2f}"),
            f"{statistics.mean(run.ledger['cell_writes_mean'] for run in runs.values()):,.0f}",
            f"{max(run.ledger['cell_writes_max'] for run in runs.values()):,.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def accuracy(record: Record) -> float:
    assert record.test_accuracy is not None, "train returns records of runs that went through"
    return record.test_accuracy


def spread(values: list[float], form: str) -> str:
    mean = form.format(statistics.mean(values))
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="write the table in docs/devices.md from the records")
    if parser.parse_args().table:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n{table(read(RECORDS))}\n\n{END}{after}", encoding="utf-8")
    else:
        run(RECORDS)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
