"""What the docs say of OPZO is what the records hold."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from onchip.runs.record import read

ROOT = Path(__file__).resolve().parents[2]


def script(name: str) -> ModuleType:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / "experiments" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)  # where dataclasses look for names in annotations
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.mark.parametrize("name", ["opzo", "opzo_finetune", "opzo_gradients", "opzo_nmnist"])
def test_the_tables_in_the_docs_are_made_from_the_records(name: str) -> None:
    assert script(name).tables() in (ROOT / "docs" / "opzo.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["opzo", "opzo_nmnist"])
def test_every_run_was_made_once_and_succeeded(name: str) -> None:
    records = read(script(name).RECORDS)
    keys = [
        (record.data, record.network, record.settings["optimizer"], record.label, record.seed) for record in records
    ]
    assert len(set(keys)) == len(keys) > 0
    assert all(record.status == "ok" for record in records)


def test_the_curves_are_drawn_from_the_records() -> None:
    module = script("opzo")
    drawn, kept = module.curves().decode(), module.CURVES.read_text(encoding="utf-8")
    assert re.findall(r"<text.*?</text>", drawn, re.DOTALL) == re.findall(r"<text.*?</text>", kept, re.DOTALL)
    assert drawn.count("<path") == kept.count("<path") > 6


def test_no_direct_rule_sent_an_error_from_layer_to_layer() -> None:
    spatial = {"ottt", "noisy-bp"}
    for record in read(script("opzo").RECORDS):
        assert (record.ledger["products_pull"] > 0) == (record.rule in spatial), record.label
        assert (record.ledger["weights_transported"] > 0) == (record.rule in spatial), record.label


def test_learning_rates_were_chosen_by_a_seed_of_their_own() -> None:
    module = script("opzo")
    records = read(module.TUNING)
    assert {record.seed for record in records} == {module.TUNING_SEED}
    assert not {record.seed for record in records} & set(module.SEEDS)
    assert all(record.validation_size for record in records)


def test_one_point_gradients_are_thousands_of_times_as_noisy_and_opzos_are_not() -> None:
    for record in script("opzo_gradients").read():
        for layers in record["measured"].values():
            for layer in list(layers.values())[:-1]:  # the read-out's is exact
                ratio = layer["variance"] / layer["variance_bp"]
                if record["rule"] == "opzo":
                    assert ratio < 10
                elif record["rule"] == "zeroth-order":
                    assert ratio > 1000
