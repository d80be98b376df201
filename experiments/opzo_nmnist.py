"""Direct rules on recordings of an event camera: the part of N-MNIST that is available here.

    python experiments/opzo_nmnist.py            trains the runs that experiments/records/opzo_nmnist.jsonl lacks
    python experiments/opzo_nmnist.py --table    writes the table in docs/opzo.md from the records

Recordings become T = 6 frames of spikes, so no input is static and every layer receives events. All recordings in the
data folder are used; in the part that we had, one test recording is one percentage point. All rules share one learning
rate, which was set beforehand.

Reference: Xiao et al. 2024 (OPZO, arXiv 2407.12516), table 1, on all of N-MNIST.
"""

from __future__ import annotations

from dataclasses import replace

from _records import FOLDER, accuracy, difference, train_missing
from _tables import SEEDS, command, spread
from onchip.report.markdown import markdown_table
from onchip.runs.config import RunConfig
from onchip.runs.record import read

RECORDS = FOLDER / "opzo_nmnist.jsonl"
BASE = RunConfig(data="n-mnist", net="mlp", steps=6, epochs=8, batch_size=32, lr=1e-3, validation=0.0)
RULES = ("ottt", "opzo", "anchored-dkp", "dkp", "dfa", "opzo:local=true", "zeroth-order")


def run() -> None:
    train_missing(RECORDS, (replace(BASE, rule=rule, seed=seed) for seed in SEEDS for rule in RULES))


def tables() -> dict[str, str]:
    records = read(RECORDS)
    first, rows = records[0], []
    bp = {record.seed: record for record in records if record.label == "ottt"}
    for label in dict.fromkeys(record.label for record in records):
        runs = [record for record in records if record.label == label]
        differences = spread([difference(record, bp[record.seed]) for record in runs], "+")
        tests = spread([accuracy(record) for record in runs])
        rows.append((f"`{label}`", str(len(runs)), tests, "" if label == "ottt" else differences))
    head = (
        f"`{first.network}`, {first.train_size} training and {first.test_size} test recordings, T = {first.steps}, "
        f"{first.epochs} epochs:\n\n"
    )
    return {"opzo_nmnist": head + markdown_table(("rule", "seeds", "test %", "against ottt"), rows)}


if __name__ == "__main__":
    command(__doc__, "opzo.md", tables, run)
