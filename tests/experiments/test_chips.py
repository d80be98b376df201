"""The records of the bits of a chip: every run once, by rates chosen elsewhere, of rules that it runs faithfully."""

from __future__ import annotations

from statistics import mean

import chips as script
from _records import accuracy, same_settings
from onchip import nn
from onchip.chips.reading import chip
from onchip.mapping import Setting, check
from onchip.runs.record import read
from onchip.training import registry


def test_every_run_was_made_once_with_its_settings() -> None:
    records, configs = read(script.RECORDS), list(script.configs())
    assert len(records) == len(configs) == 39
    for config in configs:
        (record,) = [each for each in records if same_settings(config, each.settings)]
        assert record.status == "ok"
        assert (record.chip.get("name"), record.chip.get("bits")) == (
            ("loihi", True) if config.synapses else (None, None)
        )


def test_rates_were_chosen_on_validation_images() -> None:
    runs = read(script.TUNING)
    assert len(runs) == len(list(script.tuning()))
    for rule, rate in script.chosen().items():
        validated = {r.settings["lr"]: r.validation_accuracy or 0.0 for r in runs if r.label == rule}
        assert set(validated) == set(script.RATES)
        assert validated[rate] == max(validated.values())
        assert min(script.RATES) < rate < max(script.RATES), "the grid is wide enough"
    assert {record.seed for record in runs} == {script.TUNING_SEED}
    assert script.TUNING_SEED not in {record.seed for record in read(script.RECORDS)}


def test_the_chip_runs_the_rules_faithfully() -> None:
    for text in script.RULES:
        model = nn.Sequential(nn.Linear(64, 8), nn.LIF(), nn.Linear(8, 8), nn.LIF(), nn.Linear(8, 10))
        rule = registry.part("rule", text)(model)
        assert check(rule, chip("loihi"), setting=Setting(steps=script.BASE.steps, lr=0.1)).word == "faithful"


def test_the_bits_cost_a_few_points() -> None:
    by_rule: dict[tuple[str, bool], list[float]] = {}
    for record in read(script.RECORDS):
        by_rule.setdefault((record.label, bool(record.chip)), []).append(accuracy(record))
    for (rule, bits), values in by_rule.items():
        assert len(values) == 3
        if bits:
            assert abs(mean(values) - mean(by_rule[rule, False])) < 5.0, rule
