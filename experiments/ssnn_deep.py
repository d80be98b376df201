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

from _ssnn import CLIPPED, INTEGRATED, OURS, Row, run_rows
from _ssnn_deep import LENGTHS, PASSES, RECORDS, TUNING
from _tables import SEEDS, command
from ssnn import tables

__all__ = ["RECORDS", "ROWS", "TRIED", "TUNING", "tables"]

TUNING_SEED = 1000

NET: dict[str, Any] = {"net": "mlp-tapered"}
TABLE = "784-200-100-10, all of fashion-mnist"


def spiking(name: str, steps: int, **changed: Any) -> Row:
    return Row(TABLE, f"{name}, T = {steps}", {**NET, **OURS, "steps": steps, **changed}, LENGTHS, PASSES)


LOW = "ssnn_bp:gain=1.4"
ROWS = (
    Row(TABLE, "clipped network, bp", {**NET, **CLIPPED}),
    spiking("gain 1.4", 16, rule=LOW),
    spiking("integrate, gain 1.4", 16, **INTEGRATED | {"rule": LOW}),
    spiking("integrate, gain 1.4", 8, **INTEGRATED | {"rule": LOW}),
    spiking("integrate, gain 1.4", 32, **INTEGRATED | {"rule": LOW}),
    spiking("integrate, own-noise mirror, gain 1.4", 16, **INTEGRATED | {"rule": "own_noise_mirror:gain=1.4"}),
    spiking("integrate, real errors (bp)", 16, **INTEGRATED | {"rule": "bp"}),
    spiking("ssnn_bp", 16),
    spiking("gain 1.4", 8, rule=LOW),
    spiking("ssnn_bp", 8),
    spiking("real errors (bp)", 16, rule="bp"),
    spiking("gain 1.4", 32, rule=LOW),
    spiking("own-noise mirror, gain 1.4", 16, rule="own_noise_mirror:gain=1.4"),
    spiking("ssnn_bp", 32),
)
"""Rows in order of importance."""

TRIED = (
    *(
        Row("two hidden layers, validation, T = 16", name, {**NET, **settings, "validation": 0.1})
        for name, settings in (
            ("clipped network, bp, lr 0.2", CLIPPED),
            *((f"gain {gain:g}", {**OURS, "steps": 16, "rule": f"ssnn_bp:gain={gain:g}"}) for gain in (1.4, 2, 1, 4)),
            ("potential filtered", {**OURS, "steps": 16, "neuron": "stochastic:potential=filter"}),
            *(
                (f"integrate, gain {gain:g}", {**INTEGRATED, "steps": 16, "rule": f"ssnn_bp:gain={gain:g}"})
                for gain in (1.4, 2)
            ),
        )
    ),
    *(
        Row(f"two hidden layers, validation, lr {lr:g}", name, {**NET, **settings, "lr": lr, "validation": 0.1})
        for lr in (0.1, 0.4)
        for name, settings in (("clipped network, bp", CLIPPED), ("ssnn_bp, T = 16", {**OURS, "steps": 16}))
    ),
)


def run() -> None:
    run_rows(ROWS, RECORDS, SEEDS)


def tune() -> None:
    run_rows(TRIED, TUNING, (TUNING_SEED,), tuning=True)


if __name__ == "__main__":
    command(__doc__, "ssnn.md", tables, run, tune)
