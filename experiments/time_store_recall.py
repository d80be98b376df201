"""Store and recall: what each part of temporal credit buys, on a task that cannot be learned without any.

    python experiments/time_store_recall.py            trains the runs that the records lack
    python experiments/time_store_recall.py --table    writes the table in docs/time.md from the records

A recurrent network of adaptive neurons is shown two values in turn, a cue that says which to store, and after a delay
a cue to recall it; only the recall has a target. The adaptation of a threshold keeps 0.98 per time step, so that half
of it is left after 34 steps, about the delay. Rules differ in what they know of the past: everything (`bp`), the
neuron's whole state with its adaptation (`eprop`, `ostl`, `osttp`), its membrane alone (`ottt`, `dfa`, and others with
traces), or nothing (`sltt`, and `dfa` with coincidences).

Reference: Bellec et al. 2018 (LSNN, NeurIPS), Bellec et al. 2020 (e-prop).
"""

from __future__ import annotations

from dataclasses import replace

from _records import FOLDER
from _tables import SEEDS, command
from _time import Row, bill_table, records_of, run_rows
from onchip.runs.config import RunConfig
from onchip.training.builder import load_data

RECORDS = FOLDER / "time_store_recall.jsonl"
TITLE = "store and recall"
BASE = RunConfig(
    data="store-recall",
    net="R100",
    neuron="alif:decay=0.8;adaptation=1;adaptation-decay=0.98",
    loss="steploss:0",
    epochs=12,
    batch_size=64,
    lr=3e-3,
    validation=0.0,
    threads=1,
)
RULES = (
    *("bp", "eprop:feedback=symmetric", "eprop", "sltt", "ottt", "eprop:feedback=adaptive", "ostl", "dfa"),
    *("dfa:temporal=coincidences", "s_tllr", "fbp", "osttp"),
)


def run() -> None:
    run_rows([Row(TITLE, replace(BASE, rule=rule)) for rule in RULES], RECORDS, SEEDS, load_data)


def tables() -> dict[str, str]:
    runs = records_of(RECORDS)[TITLE]
    first = runs[0][0]
    head = (
        f"`{first.network}` of `{first.neuron}`, {first.train_size:,} training and {first.test_size:,} test sequences, "
        f"T = {first.steps}, {first.epochs} epochs, batch {first.settings['batch_size']}, Adam from "
        f"{first.settings['lr']:g} by cosine to 0:"
    )
    return {RECORDS.stem: f"{head}\n\n{bill_table(runs)}"}


if __name__ == "__main__":
    command(__doc__, "time.md", tables, run)
