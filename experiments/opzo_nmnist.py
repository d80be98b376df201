"""Direct rules on recordings of an event camera: the part of N-MNIST that is at hand.

    python experiments/opzo_nmnist.py            trains what experiments/records/opzo_nmnist.jsonl does not hold yet
    python experiments/opzo_nmnist.py --table    writes the table in docs/opzo.md from the records

Recordings become T = 6 frames of spikes, so nothing is static and every layer sees events. All recordings in the
data folder are used; with the part that we had, a point is one test recording. One
rate for all rules, set beforehand.

Reference: Xiao et al. 2024 (OPZO, arXiv 2407.12516), table 1, on all of N-MNIST.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import asdict, replace
from pathlib import Path

from onchip.runs.config import RunConfig
from onchip.runs.record import Record, append, read
from onchip.training.builder import load_data
from onchip.training.loop import train

HERE = Path(__file__).resolve().parent
RECORDS = HERE / "records" / "opzo_nmnist.jsonl"
PAGE = HERE.parent / "docs" / "opzo.md"
END = "<!-- end of table -->"

SEEDS = (0, 1, 2)
SPEC = RunConfig(data="n-mnist", net="mlp", steps=6, epochs=8, batch_size=32, lr=1e-3, validation=0.0)
RULES = ("ottt", "opzo", "anchored-dkp", "dkp", "dfa", "opzo:local=true", "zeroth-order")


def run() -> None:
    """Trains what the file does not hold yet."""
    RECORDS.parent.mkdir(exist_ok=True)
    data = load_data(SPEC)
    for spec in (replace(SPEC, rule=rule, seed=seed) for seed in SEEDS for rule in RULES):
        if asdict(spec) not in [record.settings for record in read(RECORDS)]:
            append(RECORDS, train(spec, data))
            print(f"{spec.rule}, seed {spec.seed}", flush=True)


def tables() -> str:
    """The table, from the records alone."""
    records = read(RECORDS)
    first = records[0]
    lines = [
        f"`{first.network}`, {first.train_size} recordings to train on and {first.test_size} to test, T = "
        f"{first.steps}, {first.epochs} epochs:\n",
        "| rule | seeds | test % | against ottt |",
        "| --- | ---: | ---: | ---: |",
    ]
    bp = {record.seed: accuracy(record) for record in records if record.label == "ottt"}
    for label in dict.fromkeys(record.label for record in records):
        runs = [record for record in records if record.label == label]
        apart = spread([accuracy(record) - bp[record.seed] for record in runs], "{:+.2f}")
        tests = spread([accuracy(record) for record in runs], "{:.2f}")
        lines.append(f"| `{label}` | {len(runs)} | {tests} | {'' if label == 'ottt' else apart} |")
    return "\n".join([*lines, ""])


def accuracy(record: Record) -> float:
    return 100.0 * (record.test_accuracy or 0.0)


def spread(values: list[float], form: str) -> str:
    mean = form.format(statistics.mean(values))
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="write the table in docs/opzo.md from the records")
    if parser.parse_args().table:
        begin = "<!-- table: opzo_nmnist -->\n"
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
        PAGE.write_text(before + begin + "\n" + tables() + "\n" + END + rest.partition(END)[2], encoding="utf-8")
    else:
        run()


if __name__ == "__main__":
    main()
