"""What the docs say of frozen backpropagation is what the records hold."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fbp_fashion", ROOT / "experiments" / "fbp_fashion.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fbp_fashion"] = module  # where dataclasses look for the names in annotations
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("records", ["RECORDS", "TUNING"])
def test_the_tables_in_the_docs_are_made_from_the_records(script: ModuleType, records: str) -> None:
    assert script.tables(getattr(script, records)) in (ROOT / "docs" / "fbp.md").read_text(encoding="utf-8")


def test_every_record_holds_its_settings_and_was_made_once(script: ModuleType) -> None:
    records = script.read(script.RECORDS)
    keys = [(record["row"], record["seed"], str(record["settings"])) for record in records]
    assert len(set(keys)) == len(keys) > 0
    for record in records:
        assert record["measured_on"] == "test"
        assert record["settings"]["validation"] == 0.0
        assert record["steps"] == record["ledger"]["steps"]
        assert 0.0 < record["accuracy"] < 1.0


def test_learning_rates_were_chosen_on_validation_images(script: ModuleType) -> None:
    records = script.read(script.TUNING)
    assert {record["measured_on"] for record in records} == {"validation"}
    assert not {record["seed"] for record in records} & set(script.SEEDS)
