"""Recordings of an event camera by a recurrent network, under every rule that can train it.

    python experiments/time_n_mnist.py            trains the runs that experiments/records/time_n_mnist.jsonl lacks
    python experiments/time_n_mnist.py --table    writes the table in docs/time.md from the records

The part of N-MNIST that is available here becomes T = 6 frames of spikes. One of the 100 test recordings is one
percentage point. All rules share one learning rate, that of `opzo_nmnist.py`, which was set beforehand.
"""

from __future__ import annotations

from dataclasses import replace

from _records import FOLDER
from _tables import SEEDS, command
from _time import RULES, Row, bill_table, records_of, run_rows
from onchip.runs.config import RunConfig
from onchip.runs.record import Record
from onchip.training.builder import load_data

RECORDS = FOLDER / "time_n_mnist.jsonl"
LIF = "LIF neurons"
STOCHASTIC = {
    "stochastic neurons": "stochastic",
    "stochastic neurons that integrate": "stochastic:potential=integrate",
}
"""Titles of tables, and their neurons."""
BASE = RunConfig(
    data="n-mnist:frames=6",
    net="R64",
    neuron="lif:decay=0.9",
    steps=6,
    epochs=8,
    batch_size=32,
    lr=1e-3,
    validation=0.0,
    threads=1,
)


def rows() -> list[Row]:
    return [
        *(Row(LIF, replace(BASE, rule=rule)) for rule in RULES),
        *(
            Row(title, replace(BASE, neuron=neuron, rule=rule))
            for title, neuron in STOCHASTIC.items()
            for rule in ("bp", "ssnn_bp", "own_noise_mirror")
        ),
    ]


def run() -> None:
    run_rows(rows(), RECORDS, SEEDS, load_data)


def tables() -> dict[str, str]:
    return {
        RECORDS.stem: "\n\n".join(part for title, runs in records_of(RECORDS).items() for part in parts(title, runs))
    }


def parts(title: str, runs: list[tuple[Record, bool | None]]) -> tuple[str, str]:
    """The settings of a table, and the table."""
    first = runs[0][0]
    head = (
        f"**{title[0].upper() + title[1:]}**, `{first.network}` of `{first.neuron}`, {first.train_size:,} training and "
        f"{first.test_size} test recordings, T = {first.steps}, {first.epochs} epochs, batch "
        f"{first.settings['batch_size']}, Adam from {first.settings['lr']:g} by cosine to 0:"
    )
    return head, bill_table(runs)


if __name__ == "__main__":
    command(__doc__, "time.md", tables, run)
