"""Runs that leave a trained model, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onchip.runs.config import RunConfig
from onchip.runs.sweep_config import SweepConfig
from onchip.training import sweep
from onchip.training.builder import load_data


def trained(folder: Path, **settings: Any) -> Any:
    """What one run of the command line leaves."""
    config = RunConfig(**{"net": "mlp", "train_size": 60, "epochs": 1, "steps": 3, "threads": 1, **settings})
    request = SweepConfig(config, (config.rule,), (config.seed,), keep_weights=True)
    (record,) = sweep.compare(request, load_data(config), folder)
    assert record.status == "ok"
    return record
