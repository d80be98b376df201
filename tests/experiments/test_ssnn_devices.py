"""What the docs say of devices is what the records hold."""

from __future__ import annotations

import importlib.util
import statistics
from pathlib import Path
from types import ModuleType

import pytest

from onchip.runs.record import read

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ssnn_devices", ROOT / "experiments" / "ssnn_devices.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_in_the_docs_is_made_from_the_records(script: ModuleType) -> None:
    assert script.table(read(script.RECORDS)) in (ROOT / "docs" / "devices.md").read_text(encoding="utf-8")


def test_every_run_was_made_once_and_differs_in_the_device_alone(script: ModuleType) -> None:
    records = read(script.RECORDS)
    keys = [(record.settings["synapses"], record.seed) for record in records]
    assert len(set(keys)) == len(keys) > 0
    shared = [{**record.settings, "synapses": None, "seed": 0} for record in records]
    assert all(settings == shared[0] for settings in shared)
    assert {synapses for synapses, _ in keys} <= {*script.ROWS.values(), *script.MORE.values()}


def test_spreads_cost_less_than_four_points(script: ModuleType) -> None:
    records = read(script.RECORDS)
    means = {
        name: statistics.mean(script.accuracy(r) for r in records if r.settings["synapses"] == script.ROWS[name])
        for name in ("ideal", "all spreads")
    }
    assert means["all spreads"] > means["ideal"] - 0.04
