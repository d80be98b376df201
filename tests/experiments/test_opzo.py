"""The records of direct rules: runs, seeds, and what the rules may not do."""

from __future__ import annotations

import importlib
import re

import pytest

import opzo
import opzo_gradients
from _records import read_lines
from _tables import SEEDS
from onchip.runs.record import read


@pytest.mark.parametrize("name", ["opzo", "opzo_nmnist"])
def test_every_run_was_made_once_and_succeeded(name: str) -> None:
    records = read(importlib.import_module(name).RECORDS)
    keys = [
        (record.data, record.network, record.settings["optimizer"], record.label, record.seed) for record in records
    ]
    assert len(set(keys)) == len(keys) > 0
    assert all(record.status == "ok" for record in records)


def test_the_curves_are_drawn_from_the_records() -> None:
    drawn, committed = opzo.curves().decode(), opzo.CURVES.read_text(encoding="utf-8")
    assert re.findall(r"<text.*?</text>", drawn, re.DOTALL) == re.findall(r"<text.*?</text>", committed, re.DOTALL)
    assert drawn.count("<path") == committed.count("<path") > 6


def test_no_direct_rule_sent_an_error_from_layer_to_layer() -> None:
    spatial = {"ottt", "noisy-bp"}
    for record in read(opzo.RECORDS):
        assert (record.ledger["products_backward"] > 0) == (record.rule in spatial), record.label
        assert (record.ledger["weights_transported"] > 0) == (record.rule in spatial), record.label


def test_learning_rates_were_chosen_by_a_seed_of_their_own() -> None:
    records = read(opzo.TUNING)
    assert {record.seed for record in records} == {opzo.TUNING_SEED}
    assert not {record.seed for record in records} & set(SEEDS)
    assert all(record.validation_size for record in records)


def test_one_point_gradients_are_thousands_of_times_as_noisy_and_opzos_are_not() -> None:
    for record in read_lines(opzo_gradients.RECORDS):
        for layers in record["measured"].values():
            for layer in list(layers.values())[:-1]:  # the read-out's is exact
                ratio = layer["variance"] / layer["variance_bp"]
                if record["rule"] == "opzo":
                    assert ratio < 10
                elif record["rule"] == "zeroth-order":
                    assert ratio > 1000
