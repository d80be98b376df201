"""Two hidden layers of spikes: what a spike train of T steps costs, in training and in the read-out, and what helps.

    python experiments/ssnn_deep.py            trains the runs that experiments/records/ssnn_deep.jsonl lacks
    python experiments/ssnn_deep.py --tune     makes the runs on validation images that chose the settings
    python experiments/ssnn_deep.py --table    writes the tables in docs/ssnn.md from the records

784-200-100-10 on all of Fashion-MNIST. The loss against the clipped network is split per seed into training noise and
read-out noise (`_ssnn`). The weights of each run also read the test images once with trains of other lengths, and
once with several passes whose outputs are averaged. Learning rates and the gain were compared on 6,000 validation
images, with a seed that is used for nothing else.

Reference: Biswas, Saraswat, Ganguly 2023 (SSNN-BP, arXiv 2207.09755).
"""

from __future__ import annotations

from typing import Any

from _records import FOLDER, read_lines
from _ssnn import CLIPPED, OURS, REFERENCE, Row, references, run_rows, tables_of
from _tables import SEEDS, command, spread
from onchip.report.markdown import markdown_table

RECORDS = FOLDER / "ssnn_deep.jsonl"
TUNING = FOLDER / "ssnn_deep_tuning.jsonl"
TUNING_SEED = 1000

NET: dict[str, Any] = {"net": "mlp-tapered"}
TABLE = "784-200-100-10, all of fashion-mnist"
LENGTHS = (8, 16, 32, 64, 128)
PASSES = (2, 4, 8)


def spiking(name: str, steps: int, **changed: Any) -> Row:
    return Row(TABLE, f"{name}, T = {steps}", {**NET, **OURS, "steps": steps, **changed}, LENGTHS, PASSES)


ROWS = (
    Row(TABLE, "clipped network, bp", {**NET, **CLIPPED}),
    spiking("ssnn_bp", 16),
    spiking("ssnn_bp", 8),
    spiking("real errors (bp)", 16, rule="bp"),
    spiking("ssnn_bp", 32),
    spiking("gain 4", 16, rule="ssnn_bp:gain=4"),
    spiking("own-noise mirror", 16, rule="own_noise_mirror"),
)
"""Rows in order of importance."""

TRIED = (
    *(
        Row("validation", f"{name}, lr {lr:g}", {**NET, **settings, "lr": lr, "validation": 0.1})
        for lr in (0.2, 0.1, 0.4)
        for name, settings in (("clipped network, bp", CLIPPED), ("ssnn_bp, T = 16", {**OURS, "steps": 16}))
    ),
    *(
        Row(
            "validation",
            f"ssnn_bp, T = 16, {name}",
            {**NET, **OURS, "steps": 16, "validation": 0.1, **changed},
        )
        for name, changed in (
            ("gain 4", {"rule": "ssnn_bp:gain=4"}),
            ("gain 1", {"rule": "ssnn_bp:gain=1"}),
            ("gain 8", {"rule": "ssnn_bp:gain=8"}),
            ("potential filtered", {"neuron": "stochastic:potential=filter"}),
        )
    ),
)


def run() -> None:
    run_rows(ROWS, RECORDS, SEEDS)


def tune() -> None:
    run_rows(TRIED, TUNING, (TUNING_SEED,), tuning=True)


def read_table() -> str:
    """The same weights, read out in other ways: points against the clipped network's."""
    entries = read_lines(RECORDS)
    best = {seed: accuracy for (seed, _), accuracy in references(entries).items()}
    names = [name for name in dict.fromkeys(entry["row"] for entry in entries) if not name.startswith(REFERENCE)]
    rows = []
    for name in names:
        runs = [entry for entry in entries if entry["row"] == name and entry["record"]["seed"] in best]

        def points(kind: str, column: int, runs: list[dict[str, Any]] = runs) -> str:
            found = [100 * (run[kind][str(column)] - best[run["record"]["seed"]]) for run in runs]
            return spread(found, "+") if found else ""

        shown = [points("lengths", steps) for steps in LENGTHS] + [points("passes", count) for count in PASSES]
        rows.append((name, str(len(runs)), *shown))
    header = ("row", "seeds", *(f"T = {steps}" for steps in LENGTHS), *(f"{count} passes" for count in PASSES))
    return markdown_table(header, rows)


def tables() -> dict[str, str]:
    made = {
        "ssnn_deep": f"{tables_of(RECORDS)}\n\nThe same weights, read in trains of other lengths, and in several "
        f"passes as long as those of training, averaged; points against the clipped network's:\n\n{read_table()}"
    }
    return made | {"ssnn_deep_tuning": tables_of(TUNING)}


if __name__ == "__main__":
    command(__doc__, "ssnn.md", tables, run, tune)
