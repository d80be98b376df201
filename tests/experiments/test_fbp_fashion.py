"""The records of frozen backpropagation on Fashion-MNIST: settings, splits and seeds."""

from __future__ import annotations

import fbp_fashion as script
from _tables import SEEDS


def test_every_record_holds_its_settings_and_was_made_once() -> None:
    records = script.read(script.RECORDS)
    keys = [(record["row"], record["seed"], str(record["settings"])) for record in records]
    assert len(set(keys)) == len(keys) > 0
    for record in records:
        assert record["measured_on"] == "test"
        assert record["settings"]["validation"] == 0.0
        assert record["steps"] == record["ledger"]["steps"]
        assert 0.0 < record["accuracy"] < 1.0


def test_learning_rates_were_chosen_on_validation_images() -> None:
    records = script.read(script.TUNING)
    assert {record["measured_on"] for record in records} == {"validation"}
    assert not {record["seed"] for record in records} & set(SEEDS)
