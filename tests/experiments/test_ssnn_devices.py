"""The records of memory devices: runs, and how much spreads cost."""

from __future__ import annotations

import statistics
from dataclasses import replace

import ssnn_devices as script
from _records import accuracy, same_settings
from onchip.runs.record import read


def test_every_run_was_made_once_and_differs_in_the_device_alone() -> None:
    records = read(script.RECORDS)
    keys = [(record.settings["synapses"], record.seed) for record in records]
    assert len(set(keys)) == len(keys) > 0
    for record in records:
        config = replace(script.BASE, synapses=record.settings["synapses"], seed=record.seed)
        assert same_settings(config, record.settings), record.settings["synapses"]
    assert {synapses for synapses, _ in keys} <= {*script.ROWS.values(), *script.MORE.values()}


def test_spreads_cost_less_than_four_points() -> None:
    records = read(script.RECORDS)
    means = {
        name: statistics.mean(accuracy(r) for r in records if r.settings["synapses"] == script.ROWS[name])
        for name in ("ideal", "all spreads")
    }
    assert means["all spreads"] > means["ideal"] - 4.0
