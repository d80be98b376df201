"""Frozen backpropagation of LIF neurons on Fashion-MNIST: does the result for spike times hold for time steps too?

    python experiments/fbp_lif.py            trains the runs that experiments/records/fbp_lif.jsonl lacks
    python experiments/fbp_lif.py --table    writes the table in docs/fbp.md from the records

Network 16C3-P2-32C3-P2-F128-10 of LIF neurons, T = 4, surrogate gradients through time; 10,000 training images,
drawn class by class; the 10,000 test images are evaluated once per run, after its last step.

Reference: Goupy et al. 2025 (arXiv 2505.13741), whose own networks are of time-to-first-spike neurons.
"""

from __future__ import annotations

from dataclasses import replace

from _paired import Paired
from _records import FOLDER, accuracy, difference, train_missing
from _tables import SEEDS, command, spread
from onchip.report.markdown import markdown_table
from onchip.runs.config import RunConfig
from onchip.runs.record import Record, read

RECORDS = FOLDER / "fbp_lif.jsonl"
BASE = RunConfig(
    data="fashion-mnist",
    train_size=10_000,
    validation=0.0,
    net="conv-dense",
    neuron="lif",
    steps=4,
    epochs=3,
    batch_size=32,
    lr=1e-3,
    lr_scaling="fan",
)
WEIGHT_BITS = 32
RULES = (
    "bp",
    "fbp",  # a thousandth of BP's bits
    "fbp:budget=661",  # a ten-thousandth
    "never",
    "fa",
)


def run() -> None:
    train_missing(RECORDS, (replace(BASE, rule=rule, seed=seed) for seed in SEEDS for rule in RULES))


def tables() -> dict[str, str]:
    records = read(RECORDS)
    rows = [row(rule, records) for rule in RULES if any(record.label == rule for record in records)]
    return {
        "fbp_lif": markdown_table(
            ("rule", "seeds", "accuracy %", "against bp", "95% interval", "80% power from", "bits"), rows
        )
    }


def row(label: str, records: list[Record]) -> tuple[str, ...]:
    """One row of the table: means ± standard deviations over the seeds."""
    runs = [record for record in records if record.label == label]
    bp = {record.seed: record for record in records if record.label == "bp"}
    differences = [difference(record, bp[record.seed]) for record in runs if record.seed in bp]
    bits_of_bp = WEIGHT_BITS * bp[0].ledger["weights_transported"]  # BP moves every weight at every step
    bits = runs[0].ledger["transport_value_bits"] + runs[0].ledger["transport_index_bits"]
    return (
        f"`{label}`",
        str(len(runs)),
        spread([accuracy(record) for record in runs]),
        *([""] * 3 if label == "bp" else [spread(differences, "+"), *Paired(tuple(differences)).cells()]),
        f"{bits_of_bp / bits:,.0f}x" if bits else "all",
    )


if __name__ == "__main__":
    command(__doc__, "fbp.md", tables, run)
