"""Frozen backpropagation of LIF neurons on Fashion-MNIST: does what holds for spike times hold for time steps too?

    python experiments/fbp_lif.py            trains what experiments/records/fbp_lif.jsonl does not hold yet
    python experiments/fbp_lif.py --table    writes the table in docs/fbp.md from the records

Network 16C3-P2-32C3-P2-F128-10 of LIF neurons, T = 4, surrogate gradients through time; 10,000 training images,
drawn class by class; the 10,000 test images are looked at once a run, after its last step.

Reference: Goupy et al. 2025 (arXiv 2505.13741), whose own networks are of time-to-first-spike neurons.
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
RECORDS = HERE / "records" / "fbp_lif.jsonl"
PAGE = HERE.parent / "docs" / "fbp.md"
BEGIN, END = "<!-- table: fbp_lif -->\n", "<!-- end of table -->"

SEEDS = (0, 1, 2)
SETTING = RunConfig(
    data="fashion-mnist",
    train_size=10_000,
    validation=0.0,
    net="conv-dense",
    neuron="lif",
    steps=4,
    epochs=3,
    batch_size=32,
    lr=1e-3,
    rates="fan",
)
WIDTH = 32  # bits of a weight
RULES = (
    "bp",
    "fbp",  # a thousandth of BP's bits
    "fbp:budget=661",  # a ten-thousandth
    "never",
    "fa",
)


def table() -> str:
    """A row a rule, from the records alone."""
    records = read(RECORDS)
    labels = [rule for rule in RULES if any(record.label == rule for record in records)]
    rows = [line(label, records) for label in labels]
    head = ["| rule | seeds | accuracy % | against bp | bits |", "| --- | ---: | ---: | ---: | ---: |"]
    return "\n".join([*head, *rows, ""])


def line(label: str, records: list[Record]) -> str:
    """One row of the table: means ± standard deviations over its seeds."""
    runs = [record for record in records if record.label == label]
    bp = {record.seed: record for record in records if record.label == "bp"}
    tests = [100 * (record.test_accuracy or 0.0) for record in runs]
    apart = [100 * ((r.test_accuracy or 0.0) - (bp[r.seed].test_accuracy or 0.0)) for r in runs if r.seed in bp]
    bill = WIDTH * bp[0].ledger["weights_transported"]  # BP moves every weight at every step
    bits = runs[0].ledger["transport_value_bits"] + runs[0].ledger["transport_index_bits"]
    saved = f"{bill / bits:,.0f}x" if bits else "all"
    against = "" if label == "bp" else spread(apart, "{:+.2f}")
    return f"| `{label}` | {len(runs)} | {spread(tests, '{:.2f}')} | {against} | {saved} |"


def spread(values: list[float], form: str) -> str:
    mean = form.format(statistics.mean(values))
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="write the table in docs/fbp.md from the records")
    if parser.parse_args().table:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(before + BEGIN + "\n" + table() + "\n" + END + rest.partition(END)[2], encoding="utf-8")
        return
    done = [record.settings for record in read(RECORDS)]
    for seed in SEEDS:
        for rule in RULES:
            spec = replace(SETTING, rule=rule, seed=seed)
            if asdict(spec) in done:
                continue
            record = train(spec, load_data(spec))
            append(RECORDS, record)
            print(f"{rule}, seed {seed}: {record.test_accuracy:.4f} in {record.seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
