"""The records of direct rules: runs, seeds, and what the rules may not do."""

from __future__ import annotations

import importlib
import json
import re

import pytest

import _opzo_rates
import opzo
import opzo_gradients
import opzo_length
import opzo_oracle
from _records import FOLDER, accuracy, read_lines
from _tables import DOCS, SEEDS, spread
from onchip.runs.record import Record, read

FASHION = "fashion-mnist"


@pytest.mark.parametrize("name", ["opzo", "opzo_nmnist"])
def test_every_run_was_made_once_and_succeeded(name: str) -> None:
    records = read(importlib.import_module(name).RECORDS)
    keys = [
        (record.data, record.network, record.settings["optimizer"], record.label, record.seed) for record in records
    ]
    assert len(set(keys)) == len(keys) > 0
    assert all(record.status == "ok" for record in records)


@pytest.mark.parametrize(
    "name", ["opzo_length", "opzo_length_tuning", "opzo_length_long_tuning", "opzo_oracle", "opzo_oracle_tuning"]
)
def test_no_long_run_was_made_twice_and_each_succeeded(name: str) -> None:
    records = read(FOLDER / f"{name}.jsonl")
    settings = [json.dumps(record.settings, sort_keys=True) for record in records]
    assert len(set(settings)) == len(settings)
    assert all(record.status == "ok" for record in records)


def test_float32_is_compared_and_is_in_no_other_table() -> None:
    """Rows of one table have one precision."""
    table, _, precision = opzo_length.tables()["opzo_length"].partition("Products in float32")
    float32 = {record.label for record in read(opzo_length.RECORDS) if record.settings["precision"] == "float32"}
    assert len(float32) > 1
    assert precision
    ottt = [record for record in read(opzo_length.RECORDS) if record.settings["rule"] == "ottt"]
    main = [
        record for record in ottt if (record.data, record.train_size, record.epochs) == (FASHION, *opzo_length.MAIN)
    ]
    for net in opzo_length.NETS:
        of_net = [record for record in main if record.settings["net"] == net]
        float32_only = [accuracy(record) for record in of_net if record.settings["precision"] == "float32"]
        others = [accuracy(record) for record in of_net if record.settings["precision"] == "bfloat16"]
        assert f"| {spread(others)} |" in table
        assert f"| {float32_only[0]:.2f} | {others[0]:.2f} |" in precision


def test_numbers_in_sentences_are_those_of_the_records() -> None:
    page = " ".join((DOCS / "opzo.md").read_text(encoding="utf-8").split())
    records = [each for each in read(opzo_length.RECORDS) if each.settings["precision"] == "bfloat16"]
    best = [each for each in records if opzo_length.at_best_rate(each)]

    deep = opzo_length.at(best, "conv-deep", *opzo_length.MAIN)
    others = [each for each in records if not opzo_length.at_best_rate(each)]
    at_other_rates = [opzo_length.other_rate("conv-deep", rule, others, deep) for rule in opzo_length.RULES]
    at_other_rates = [row for row in at_other_rates if row]

    def gaps(rule: str) -> list[str]:
        return [opzo_length.gap_of(rule, opzo_length.at(best, net, *opzo_length.MAIN)) for net in opzo_length.NETS]

    def sizes(rule: str) -> list[str]:
        return [gap.partition(" ")[0].strip("+-") for gap in gaps(rule)]

    rules = f"anchored-dkp:quiet_after={_opzo_rates.THIRD}", f"opzo:quiet_after={_opzo_rates.THIRD}", "opzo"
    anchored, quiet, noisy = map(sizes, rules)
    assert [gap[0] for rule in (rules[0], opzo_length.COARSE) for gap in gaps(rule)] == ["+", "-", "+", "-"]
    assert "is {} points above it on `conv-wide` and {} below on `conv-deep`".format(*anchored) in page
    assert "with the same schedule stays {} and {} below".format(*quiet) in page
    assert f"from {noisy[0]} to {quiet[0]} points on `conv-wide` and from {noisy[1]} to {quiet[1]}" in page
    assert "closes what is left: {} above and {} below".format(*anchored) in page

    def cost(rule: str) -> str:
        (wrong,) = [each for each in at_other_rates if each[1] == f"`{opzo_length.shown(rule)}`"]
        return f"{float(gaps(rule)[1].split()[0]) - float(wrong[-1].split()[0]):.2f}"

    assert f"that cost `anchored-dkp` {cost(rules[0])} points on `conv-deep`, and `dkp` {cost('dkp')}" in page
    assert "change little ({} above, {} below)".format(*sizes(opzo_length.COARSE)) in page
    to_the_end, until_a_third = map(sizes, opzo_length.LAST)
    assert "the gaps are {} and {} with noise until a third".format(*until_a_third) in page
    assert f"and {to_the_end[0]} on `conv-wide` with noise to the end" in page


def test_numbers_on_the_parts_of_the_gap_are_those_of_the_records() -> None:
    page = " ".join((DOCS / "opzo.md").read_text(encoding="utf-8").split())
    wide, deep = (opzo_oracle.found()[net] for net in opzo_length.NETS)

    def points(rule: str, reference: str = "ottt", of: list[Record] = deep) -> str:
        return opzo_oracle.part(rule, reference, of).split()[0].lstrip("-")

    noise = [points("noisy-bp", of=records) for records in (wide, deep)]
    assert "the noise alone costs {} points on `conv-wide` and {} on `conv-deep` (n = 3)".format(*noise) in page
    assert f"matrix for all samples costs {points('oracle')}, noise and one matrix together" in page
    both, estimated = points(opzo_oracle.NOISY), points("opzo", opzo_oracle.NOISY)
    assert f"together {both}, and the estimate in its place {estimated} more" in page
    constant, rest = points(opzo_oracle.CONSTANT), points(opzo_oracle.QUIET, opzo_oracle.CONSTANT)
    assert f"loses {points(opzo_oracle.CONSTANT, 'oracle')} more than one that follows the weights" in page
    assert f"stays {constant} below `ottt`; `opzo` with noise until then loses another {rest}" in page
    assert f"level with one for all ({points('oracle:choice=own')} below" in page
    assert f"far worse ({points('oracle:choice=label')} below)" in page


def test_rates_that_are_close_are_compared_in_longer_runs_and_beyond_their_edge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = {0.025: 0.8, 0.05: 0.84, 0.1: 0.844, 0.2: 0.7}
    reached = {1000: {0.025: 0.89, 0.05: 0.892, 0.1: 0.894}, 1001: {0.05: 0.894, 0.1: 0.886}}
    made: dict[int, dict[float, float]] = {1000: {}, 1001: {}}
    rates = _opzo_rates.Rates(FOLDER, FOLDER)
    monkeypatch.setattr(_opzo_rates.Rates, "tried", lambda self, net, rule: short)
    monkeypatch.setattr(_opzo_rates.Rates, "tried_again", lambda self, net, rule, seed: made[seed])
    asked = []
    for config in rates.tuning_again("conv-deep", ("dkp",)):
        if config.lr not in made[config.seed]:
            asked.append((config.lr, config.seed))
            made[config.seed][config.lr] = reached[config.seed][config.lr]
    assert asked == [(0.05, 1000), (0.1, 1000), (0.05, 1001), (0.1, 1001), (0.025, 1000)]
    assert rates.best("conv-deep", "dkp") == 0.05
    short[0.05] = 0.7
    assert rates.compare_first("conv-deep", "dkp") == [0.05, 0.1], "0.1 is the best by far"
    short[0.1] = 0.6
    assert rates.compare_first("conv-deep", "dkp") == [0.025], "no rate below it was tried"


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
