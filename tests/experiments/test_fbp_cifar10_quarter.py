"""The runs of frozen backpropagation on CIFAR-10: networks, budgets, and which learning rates are tried."""

from __future__ import annotations

import math
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import fbp_cifar10_quarter as script
from _records import accuracy, same_settings
from _tables import DOCS, SEEDS
from onchip.runs.record import read
from onchip.training import registry


def test_every_rule_trains_the_network_whose_feedback_is_counted() -> None:
    base = script.STANDARDIZED.apply(script.BASE)
    make = registry.network(base.net)
    neuron, _ = registry.neuron(base.neuron)
    for rule in (*script.MAIN, *script.OTHERS):
        torch.manual_seed(0)
        attached = registry.part("rule", rule)(make((3, 32, 32), 10, neuron=neuron))
        weights = sum(layer.weight.numel() for layer in attached.layers[1:])
        assert weights == script.FEEDBACK_WEIGHTS
        attached.detach()


def test_two_seeds_of_the_main_rows_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = script.STANDARDIZED, script.PUBLISHED
    monkeypatch.setattr(script, "read", lambda path: [tried(kind, (1e-3, "fan", 0.01), 0.5) for kind in kinds])
    every = list(script.runs())
    runs = [run for run in every if run.neuron == script.FIRING]
    assert {run.net for run in runs} == {"16C3WS-32C3WS-P2-64C3WS-64C3WS-P2-128C3WS-128C3WS-P2-10"}
    assert [(run.rule, run.seed, run.neuron, run.net, run.precision) for run in every[len(runs) :]] == [
        (rule, seed, "ttfs", script.NET, "bfloat16") for seed in (0, 1) for rule in script.MAIN
    ]
    assert [(run.rule, run.seed) for run in runs[: 2 * len(script.MAIN)]] == [
        (rule, seed) for seed in (0, 1) for rule in script.MAIN
    ]
    short = [(run.rule, run.seed) for run in runs if run.epochs == script.BASE.epochs]
    longer = [(run.rule, run.seed) for run in runs if run.epochs == script.LONG]
    assert len(set(short)) == len(short) == len(SEEDS) * len(script.MAIN | script.OTHERS)
    assert len(set(longer)) == len(longer) == len(SEEDS) * len(script.MAIN)
    assert len(short) + len(longer) == len(runs)
    assert {(run.lr, run.lr_scaling, run.readout_scale) for run in runs} == {(1e-3, "fan", 0.01)}
    assert {(run.validation, run.train_size) for run in runs} == {(0.0, None)}


def test_numbers_in_sentences_are_those_of_the_records() -> None:
    page = " ".join((DOCS / "fbp.md").read_text(encoding="utf-8").split())
    reached = {
        script.choice_of(record)[2]: f"{accuracy(record):.2f}"
        for record in read(script.RECORDS)
        if (record.settings["rule"], record.seed, record.epochs) == (script.BP, 0, script.BASE.epochs)
        and script.kind_of(record) == script.PUBLISHED
    }
    assert f"BP is at {reached[0.1]}% after five epochs, instead of {reached[1.0]}% (n = 1; each at its best" in page


def test_what_centered_and_standardized_weights_gain_on_validation_images() -> None:
    page = " ".join((DOCS / "fbp.md").read_text(encoding="utf-8").split())
    usual, centered, standardized = (
        f"{100 * max(record.validation_accuracy or 0.0 for record in script.tuned(kind)):.2f}%"
        for kind in (script.SURROGATE, script.CENTERED, script.STANDARDIZED)
    )
    assert f"is at {usual} on validation images" in page
    assert f"with centered first weights at {centered} and with standardized weights at {standardized} (n = 1" in page
    reached = {
        script.kind_of(record): f"{accuracy(record):.2f}%"
        for record in read(script.RECORDS)
        if (record.settings["rule"], record.seed, record.epochs) == (script.BP, 0, script.BASE.epochs)
    }
    three = [reached[kind] for kind in (script.SURROGATE, script.CENTERED, script.STANDARDIZED)]
    assert f"it is at {three[0]}, {three[1]} and {three[2]} on test images (n = 1)" in page
    tried = {script.choice_of(record) for record in script.tuned(script.STANDARDIZED)}
    half, twice, *scales = script.neighbours(script.best(script.STANDARDIZED))
    assert tried & {half, twice, *scales} == {twice}, "the page says what is still to be tried"


def tried(kind: script.Kind, choice: script.Choice, accuracy: float) -> Any:
    """What a choice reads of a record."""
    lr, lr_scaling, scale = choice
    settings = {**asdict(kind.apply(script.BASE)), "lr": lr, "lr_scaling": lr_scaling, "readout_scale": scale}
    return SimpleNamespace(settings=settings, validation_accuracy=accuracy)


@pytest.mark.parametrize(
    ("kind", "peak"),
    [
        (script.PUBLISHED, (2e-4, "equal", 0.01)),
        (script.PUBLISHED, (1.6e-3, "fan", 0.1)),
        (script.PUBLISHED, (2.5e-5, "equal", 1e-3)),
        (script.STANDARDIZED, (1e-4, "equal", 1.0)),
    ],
)
def test_neighbours_of_the_best_choice_are_tried_until_it_has_the_best(
    kind: script.Kind, peak: script.Choice, monkeypatch: pytest.MonkeyPatch
) -> None:
    records: list[Any] = [tried(script.WIDER, (1.0, "equal", 1.0), 0.99)]
    monkeypatch.setattr(script, "read", lambda path: list(records))
    for run in script.tuning(kind):
        assert kind.apply(run) == run
        assert (run.validation, run.seed, run.train_size) == (0.1, script.TUNING_SEED, 15_000)
        distance = abs(math.log2(run.lr / peak[0])) + abs(math.log10(run.readout_scale / peak[2]))
        accuracy = 0.9 - 0.01 * distance if run.lr_scaling == peak[1] else 0.1
        records.append(tried(kind, (run.lr, run.lr_scaling, run.readout_scale), accuracy))
    assert script.best(kind) == peak
    choices = [script.choice_of(record) for record in script.tuned(kind)]
    assert len(set(choices)) == len(choices), "none is tried twice"
    assert set(script.neighbours(peak)) < set(choices)


def test_every_recorded_row_of_the_paper_s_neurons_is_one_that_the_script_trains() -> None:
    runs = list(script.runs())
    scale = script.best(script.PUBLISHED)[2]
    for record in read(script.RECORDS):
        if script.kind_of(record) == script.PUBLISHED and script.choice_of(record)[2] == scale:
            assert any(same_settings(run, record.settings) for run in runs), record.settings
