"""Records made up for tests: no training needed."""

from __future__ import annotations

import dataclasses
from typing import Any

from onchip.runs.record import Epoch, Record

BASE = Record(
    label="bp",
    rule="bp",
    options={},
    seed=0,
    data="digits",
    shape=(1, 8, 8),
    classes=10,
    train_size=100,
    validation_size=10,
    test_size=20,
    network="mlp",
    parameters=1234,
    neuron="lif",
    encoder="constant",
    steps=6,
    epochs=2,
    settings={"rule": "bp"},
    versions={"torch": "2"},
    device="cpu",
    device_name="a processor",
    threads=2,
    started="2026-01-01T00:00:00+00:00",
)


def record(label: str = "bp", seed: int = 0, accuracy: float | None = 0.5, **changes: Any) -> Record:
    """A record that succeeded, or failed if the accuracy is None."""
    if accuracy is None:
        return dataclasses.replace(BASE, label=label, seed=seed, error="it diverged", **changes)
    values = {
        "status": "ok",
        "test_accuracy": accuracy,
        "validation_accuracy": accuracy - 0.1,
        "selected_epoch": 2,
        "history": (Epoch(1, 2.0, 0.3, 0.1), Epoch(2, 1.0, accuracy - 0.1, 0.1)),
        "ledger": {
            "steps": 10,
            "weights_transported": 1000 * (seed + 1),
            "weights_transported_initial": 7,
            "products_forward": 200_000,
            "products_error": 100_000,
            "products_update": 300_000,
        },
        "seconds": 1.0,
        "train_seconds": 0.2,
        "samples_per_second": 1000.0,
        **changes,
    }
    return dataclasses.replace(BASE, label=label, seed=seed, **values)
