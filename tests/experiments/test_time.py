"""The records of the experiments on time: every run once, settings chosen elsewhere, and what the docs say of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from statistics import mean

import pytest
import torch

import time_japanese_vowels as vowels
import time_n_mnist as n_mnist
import time_store_recall as recall
from _time import Row, percents, records_of, run_rows
from onchip.data import Dataset, Split
from onchip.data.samples import SEQUENCES
from onchip.data.split import NO_TARGET
from onchip.runs.config import RunConfig
from onchip.runs.record import Record


def by_label(path: Path, title: str) -> dict[str, list[Record]]:
    """Records of a table by rule."""
    found: dict[str, list[Record]] = {}
    for record, _ in records_of(path)[title]:
        found.setdefault(record.label, []).append(record)
    return found


@pytest.mark.parametrize("path", [vowels.RECORDS, vowels.TUNING, n_mnist.RECORDS, recall.RECORDS])
def test_every_run_was_made_once_from_a_commit(path: Path) -> None:
    assert records_of(path)
    for runs in records_of(path).values():
        settings = [json.dumps(record.settings, sort_keys=True) for record, _ in runs]
        assert len(set(settings)) == len(settings) > 0
        for record, _ in runs:
            assert record.status == "ok", record.error
            assert record.threads == 1
            assert all(stretch.commit and stretch.clean for stretch in record.provenance)


def test_all_rules_share_the_settings_that_were_best_for_bp_on_validation_utterances() -> None:
    tried: dict[tuple[object, ...], list[float]] = {}
    for title, runs in records_of(vowels.TUNING).items():
        for record, _ in runs:
            assert record.rule == "bp"
            assert record.seed in vowels.TUNING_SEEDS
            assert record.test_size == record.validation_size  # the test utterances were replaced
            key = title, record.settings["net"], record.neuron, record.settings["lr"]
            tried.setdefault(key, []).extend(percents([record]))
    best = max(tried, key=lambda key: mean(tried[key]))
    assert best == (vowels.END, vowels.CHOSEN.net, vowels.CHOSEN.neuron, vowels.CHOSEN.lr)
    for record, _ in records_of(vowels.RECORDS)[vowels.END]:
        settings = record.settings
        assert best[1:] == (settings["net"], settings["neuron"], settings["lr"])
        assert record.seed not in vowels.TUNING_SEEDS


def test_bp_learns_the_vowels_eprop_nearly_as_well_and_sltt_worse() -> None:
    accuracy = {label: mean(percents(runs)) for label, runs in by_label(vowels.RECORDS, vowels.END).items()}
    assert accuracy["bp"] >= 95
    eprop = [accuracy[f"eprop{feedback}"] for feedback in ("", ":feedback=symmetric", ":feedback=adaptive")]
    assert min(eprop) > accuracy["bp"] - 2
    assert accuracy["sltt"] < min(eprop) - 2


def test_only_rules_with_credit_for_the_adaptation_recall() -> None:
    accuracy = {label: mean(percents(runs)) for label, runs in by_label(recall.RECORDS, recall.TITLE).items()}
    for label in ("bp", "fbp", "eprop", "eprop:feedback=symmetric", "eprop:feedback=adaptive", "ostl"):
        assert accuracy[label] >= 95, label
    for label in ("sltt", "dfa:temporal=coincidences", "ottt", "dfa", "s-tllr"):
        assert abs(accuracy[label] - 50) < 5, label


def test_a_target_at_the_end_is_at_the_last_step_of_each_sequence_and_at_no_other() -> None:
    split = Split(torch.zeros(2, 4, 3), torch.tensor([1, 0]), SEQUENCES, torch.tensor([4, 2]))
    data = vowels.at_the_end(Dataset("japanese-vowels", ("a", "b"), split, split, split))
    none = NO_TARGET
    expected = [[none, none, none, 1], [none, 0, none, none]]
    assert data.train.labels.tolist() == data.validation.labels.tolist() == data.test.labels.tolist() == expected


def test_a_run_that_a_rule_refuses_is_recorded_with_its_reason_and_is_not_repeated(tmp_path: Path) -> None:
    torch.manual_seed(0)
    split = Split(torch.rand(6, 3, 4), torch.tensor([0, 1, 0, 1, 0, 1]), SEQUENCES)
    data = Dataset("japanese-vowels", ("a", "b"), split, split.take(torch.arange(0)), split)
    path = tmp_path / "records.jsonl"
    base = RunConfig(data="japanese-vowels", net="R5", epochs=1, threads=1, validation=0.0)
    rows = [Row("few", base), Row("few", replace(base, rule="ssnn_bp"))]
    for _ in range(2):
        run_rows(rows, path, (0, 1), lambda _: data)
    runs = records_of(path)["few"]
    assert [(record.label, record.seed, streams) for record, streams in runs] == [
        ("bp", 0, False), ("ssnn-bp", 0, None), ("bp", 1, False), ("ssnn-bp", 1, None)
    ]  # fmt: skip
    refused = runs[1][0]
    assert refused.status == "failed"
    assert "LIF" in str(refused.error)
