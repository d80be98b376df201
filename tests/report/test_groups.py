from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from onchip import report
from onchip.runs.config import RunConfig
from tests.examples import record

SETTINGS = dataclasses.asdict(RunConfig())


@pytest.mark.parametrize(
    "change",
    [
        {"data": "mnist"},
        {"network": "conv-small"},
        {"train_size": 99},
        {"test_size": 5},
        {"neuron": "ttfs"},
        {"steps": 9},
        {"epochs": 3},
        {"settings": {**SETTINGS, "lr": 0.5}},
        {"settings": {**SETTINGS, "augment": "flip"}},
    ],
)
def test_runs_that_differ_in_more_than_rule_and_seed_stand_apart(change: dict[str, Any]) -> None:
    alike = record(settings=SETTINGS)
    groups = report.grouped([alike, dataclasses.replace(alike, **change), dataclasses.replace(alike, seed=1)])
    assert [len(group.records) for group in groups] == [2, 1]
    assert groups[0].title != groups[1].title, "a reader can tell them apart"


def test_rule_seed_and_probes_may_differ() -> None:
    records = [
        record("bp", settings=SETTINGS),
        record("fa", seed=3, settings={**SETTINGS, "rule": "fa", "seed": 3, "probe": 5}),
        record("dfa", settings={}),  # older records hold fewer settings
    ]
    assert len(report.grouped(records)) == 1


def test_a_title_names_the_settings_that_set_groups_apart() -> None:
    groups = report.grouped([record(settings={**SETTINGS, "lr": lr}) for lr in (0.1, 0.2)])
    assert [group.title.rpartition("; ")[2] for group in groups] == ["lr 0.1", "lr 0.2"]


def test_a_run_counts_once() -> None:
    first, again, other = record(), record(accuracy=0.9), record(seed=1)
    assert report.once([first, other, first]) == ([first, other], [])
    records, messages = report.once([first, again, other])
    assert records == [first, other]
    assert messages == ["bp, seed 0 on digits is there twice; the first counts"]
    failed = record(accuracy=None)
    assert report.once([failed, first]) == ([first], [])
