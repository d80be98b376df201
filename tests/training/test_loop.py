from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from onchip.data import Dataset
from onchip.errors import DataError, DivergedError, RequestError, UnsupportedError
from onchip.runs import checkpoint
from onchip.runs.config import RunConfig
from onchip.runs.record import Record
from onchip.training import registry
from onchip.training.builder import build, describe, load_data
from onchip.training.loop import train
from onchip.training.randomness import own_randomness
from onchip.training.resolved import resolve
from tests.training.stopping import StopAfter

SMALL = RunConfig(net="mlp", train_size=40, steps=2, epochs=3, batch_size=16)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_data(SMALL)


def under(rule: str, data: Dataset) -> RunConfig:
    """Settings for a rule, with the first neurons that it can train."""
    for neuron in ("lif", "stochastic"):
        config = dataclasses.replace(SMALL, rule=rule, neuron=neuron)
        with contextlib.suppress(UnsupportedError), own_randomness(config):
            build(resolve(config, data)).rule.detach()
            return config
    raise AssertionError(f"{rule} trains neither")


def untimed(record: Record) -> Record:
    """The record without what a clock said."""
    history = tuple(dataclasses.replace(epoch, seconds=0.0) for epoch in record.history)
    nothing: dict[str, Any] = {"seconds": 0.0, "train_seconds": 0.0, "samples_per_second": None, "started": ""}
    return dataclasses.replace(record, history=history, **nothing)


def check_resumes(config: RunConfig, data: Dataset, folder: Path) -> None:
    whole, parts, saved = folder / "whole", folder / "parts", folder / "checkpoint"
    uninterrupted = train(config, data, weights=whole)
    with pytest.raises(KeyboardInterrupt):
        train(config, data, save_to=saved, watch=StopAfter(2))
    torch.rand(1)  # what the caller draws in between changes nothing
    resumed = train(config, data, save_to=saved, resume=True, weights=parts)
    assert untimed(resumed) == untimed(uninterrupted)
    header = 8 + int.from_bytes(whole.read_bytes()[:8], "little")  # which holds the time of the start
    assert parts.read_bytes()[header:] == whole.read_bytes()[header:]


@pytest.mark.parametrize("rule", registry.known("rule"))
def test_interrupted_and_resumed_equals_uninterrupted(rule: str, data: Dataset, tmp_path: Path) -> None:
    check_resumes(under(rule, data), data, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"rule": "fbp:period=2;transport=top:0.5", "encoder": "poisson", "augment": "crop:1,flip"},
        {"rule": "fbp:period=3", "net": "conv-small", "optimizer": "sgd", "select": "best", "steps": 3},
        {"rule": "bp", "neuron": "ttfs", "optimizer": "adamw", "weight_decay": 0.1, "schedule": "constant"},
        {"rule": "kolen-pollack", "schedule": "exponential", "lr_scaling": "fan", "clip": 0.1, "net": "conv-dense"},
    ],
)
def test_resumes_exactly_whatever_draws_or_remembers(changes: dict[str, Any], data: Dataset, tmp_path: Path) -> None:
    check_resumes(dataclasses.replace(SMALL, **changes), data, tmp_path)


def test_a_resumed_run_keeps_its_threads_and_says_what_it_could_not_keep(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, before = tmp_path / "checkpoint", torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        train(SMALL, data, save_to=saved, watch=StopAfter(2))
    (kept,) = train(SMALL, data).provenance
    torch.set_num_threads(before + 1)
    try:
        same = train(SMALL, data, save_to=saved, resume=True)
        assert torch.get_num_threads() == before + 1, "the caller's number"
    finally:
        torch.set_num_threads(before)
    assert (same.threads, same.provenance) == (before, (kept,))
    with pytest.raises(KeyboardInterrupt):
        train(SMALL, data, save_to=saved, watch=StopAfter(2))
    monkeypatch.setenv("ONCHIP_KERNELS", "torch")
    other = train(SMALL, data, save_to=saved, resume=True)
    changed = () if kept.kernels == "torch" else (dataclasses.replace(kept, epoch=3, kernels="torch"),)
    assert other.provenance == (kept, *changed)


def test_a_run_leaves_the_callers_randomness_alone(data: Dataset) -> None:
    before = torch.get_rng_state()
    train(dataclasses.replace(SMALL, epochs=1), data)
    assert torch.equal(torch.get_rng_state(), before)


def test_every_rule_begins_with_the_same_weights_and_order(data: Dataset) -> None:
    seen: dict[str, tuple[list[Tensor], Tensor]] = {}
    for rule in registry.known("rule"):
        config = under(rule, data)
        with own_randomness(config):
            run = build(resolve(config, data))
            weights: list[Tensor] = [weight.clone() for weight in run.model.state_dict().values()]
            order = torch.randperm(100, generator=run.order)
        first_weights, first_order = seen.setdefault(config.neuron, (weights, order))
        assert all(map(torch.equal, weights, first_weights))
        assert torch.equal(order, first_order)
    assert len(seen) == 2, "weights begin as the neurons need them"


def test_seeds_differ_in_weights_and_order(data: Dataset) -> None:
    built = []
    for seed in (0, 1):
        config = dataclasses.replace(SMALL, seed=seed)
        with own_randomness(config):
            built.append(build(resolve(config, data)))
    first, second = built
    assert not torch.equal(next(first.model.parameters()), next(second.model.parameters()))
    assert not torch.equal(first.order.get_state(), second.order.get_state())
    assert not torch.equal(first.order.get_state(), first.encoding.get_state())


def test_bp_and_fbp_of_period_one_are_one_trajectory(data: Dataset) -> None:
    bp, fbp = (train(dataclasses.replace(SMALL, rule=rule), data) for rule in ("bp", "fbp:period=1"))
    assert [epoch.train_loss for epoch in bp.history] == [epoch.train_loss for epoch in fbp.history]
    assert bp.test_accuracy == fbp.test_accuracy


def test_the_record_says_what_was_run(data: Dataset) -> None:
    record = train(dataclasses.replace(SMALL, rule="fbp:period=2"), data)
    assert (record.status, record.rule, record.label) == ("ok", "fbp", "fbp:period=2")
    assert record.options["period"] == 2
    assert (record.train_size, record.validation_size, record.test_size) == (40, 144, 359)
    assert record.encoder == "constant"
    assert [epoch.epoch for epoch in record.history] == [1, 2, 3]
    assert record.ledger["steps"] == 3 * 3  # 40 samples by 16 are 3 steps an epoch
    assert record.validation_accuracy == record.history[-1].validation_accuracy
    assert record.test_accuracy is not None
    assert record.test_accuracy * 359 == pytest.approx(round(record.test_accuracy * 359))
    assert RunConfig(**record.settings) == dataclasses.replace(SMALL, rule="fbp:period=2")


def test_learns_something(data: Dataset) -> None:
    config = dataclasses.replace(SMALL, train_size=400, epochs=5, steps=4)
    record = train(config, load_data(config))
    assert record.history[-1].train_loss < record.history[0].train_loss
    assert record.test_accuracy is not None
    assert record.test_accuracy > 0.7


def test_the_best_epoch_is_the_one_with_the_best_validation(data: Dataset) -> None:
    record = train(dataclasses.replace(SMALL, select="best", lr=0.02, epochs=4), data)
    accuracies = [epoch.validation_accuracy or 0.0 for epoch in record.history]
    assert record.selected_epoch == accuracies.index(max(accuracies)) + 1
    assert record.validation_accuracy == max(accuracies)


def test_training_stops_when_validation_gets_no_better(data: Dataset, tmp_path: Path) -> None:
    # At a rate that changes nothing, the first epoch stays the best.
    config = dataclasses.replace(SMALL, lr=1e-12, schedule="constant", epochs=9, patience=2)
    record = train(config, data, save_to=tmp_path / "checkpoint")
    assert [epoch.epoch for epoch in record.history] == [1, 2, 3]
    assert record.ledger["steps"] == 9
    again = train(config, data, save_to=tmp_path / "checkpoint", resume=True)
    assert untimed(again) == untimed(record)


def test_gradients_are_scaled_down_to_the_clip(data: Dataset, tmp_path: Path) -> None:
    # One step of SGD moves the weights by the rate times the norm.
    config = dataclasses.replace(
        SMALL, epochs=1, batch_size=40, optimizer="sgd", schedule="constant", lr=1e3, clip=1e-3
    )
    with own_randomness(config):
        run = build(resolve(config, data))
    train(config, data, weights=tmp_path / "weights")
    after = load_file(tmp_path / "weights")
    moved = torch.cat([(after[name] - before).flatten() for name, before in run.model.state_dict().items()])
    assert moved.norm().item() == pytest.approx(1e3 * 1e-3, rel=1e-3)


@pytest.mark.parametrize(("scaling", "slower"), [("equal", 1.0), ("fan", 256 / 800)])
def test_scaled_rates_reach_the_optimizer(scaling: Any, slower: float, data: Dataset, tmp_path: Path) -> None:
    # Adam's first step moves every weight by the rate, whatever its gradient.
    config = dataclasses.replace(
        SMALL, net="mlp-wide", neuron="ttfs", epochs=1, batch_size=40, lr=1e-3, lr_scaling=scaling
    )
    with own_randomness(config):
        run = build(resolve(config, data))
    train(config, data, weights=tmp_path / "weights")
    after = load_file(tmp_path / "weights")
    for name, before in run.model.state_dict().items():
        expected = 1e-3 * (slower if before[0].numel() == 800 else 1.0)
        assert (after[name] - before).abs().max().item() == pytest.approx(expected, rel=1e-2)


def test_trains_without_validation_samples() -> None:
    config = dataclasses.replace(SMALL, validation=0.0, epochs=1)
    record = train(config, load_data(config))
    assert (record.validation_accuracy, record.validation_size) == (None, 0)


def test_divergence_names_run_epoch_step_and_layer(data: Dataset) -> None:
    config = dataclasses.replace(SMALL, lr=1e6, optimizer="sgd", weight_decay=1e6)
    with pytest.raises(DivergedError, match=r"bp with seed 0 diverged in epoch 1, step 3: .* of '\d\.weight' reach"):
        train(config, data)


@pytest.mark.parametrize(
    ("layer", "found"), [("5.weight", "epoch 1, step 2: the loss is nan"), ("1.weight", "epoch 1, step 3: found at")]
)
def test_a_bad_update_is_found_at_the_next_loss_or_at_the_epochs_end(
    layer: str, found: str, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = {"1.weight": 0, "5.weight": 4}[layer]

    def step(optimizer: torch.optim.SGD) -> None:
        with torch.no_grad():
            optimizer.param_groups[0]["params"][index][0, 0] = torch.nan

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    with pytest.raises(DivergedError, match=f"{found}.*'{layer}' is not finite"):
        train(dataclasses.replace(SMALL, optimizer="sgd"), data)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"rule": "ottt", "neuron": "ttfs"}, UnsupportedError, "ottt"),
        ({"encoder": "latency"}, RequestError, "latency"),
        ({"data": "mnist"}, RequestError, "mnist"),
        ({"rule": "fbp:period=0"}, RequestError, "period"),
        ({"augment": "crop:0"}, RequestError, "pad"),
        ({"device": "tpu9"}, RequestError, "tpu9"),
    ],
)
def test_refuses_before_it_trains(changes: dict[str, Any], error: type[Exception], message: str, data: Dataset) -> None:
    with pytest.raises(error, match=message):
        train(dataclasses.replace(SMALL, **changes), data)


def test_refuses_the_checkpoint_of_another_run(data: Dataset, tmp_path: Path) -> None:
    train(SMALL, data, save_to=tmp_path / "c")
    with pytest.raises(DataError, match=r"its lr is 0\.005"):
        train(dataclasses.replace(SMALL, lr=0.1), data, save_to=tmp_path / "c", resume=True)


def _spoiled(change: str, state: dict[str, Any]) -> None:
    weights = state["model"]
    name = next(iter(weights))
    if change == "missing tensor":
        del weights[name]
    elif change == "float64":
        weights[name] = weights[name].double()
    elif change == "shape":
        weights[name] = weights[name][:1]
    elif change == "momentum":
        state["optimizer"]["state"][0]["exp_avg"] = state["optimizer"]["state"][0]["exp_avg"][:1]
    elif change == "best":
        state["best"] = {name: weights[name][:1]}
    elif change == "history":
        state["history"][0]["train_loss"] = "low"
    elif change == "no history":
        state["history"] = []
    elif change == "random":
        state["random"] = state["random"][:7]
    elif change == "spec":
        state["spec"] = [1]
    else:
        state[change] = None


def check_refused(change: str, data: Dataset, path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(SMALL, data, save_to=path, watch=StopAfter(1))
    state = checkpoint.load(path)
    _spoiled(change, state)
    checkpoint.save(path, state)
    with pytest.raises(DataError, match=r"checkpoint c .* delete it to begin again") as caught:
        train(SMALL, data, save_to=path, resume=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    ["missing tensor", "float64", "shape", "momentum", "best", "history", "no history", "random", "spec", "schedule"],
)
def test_refuses_a_checkpoint_that_does_not_fit(change: str, data: Dataset, tmp_path: Path) -> None:
    check_refused(change, data, tmp_path / "c")


@pytest.mark.parametrize(
    "name", ["model", "rule", "optimizer", "ledger", "probes", "order", "encoding", "selected_epoch", "seconds", "new"]
)
def test_refuses_a_checkpoint_without_a_part(name: str, data: Dataset, tmp_path: Path) -> None:
    check_refused(name, data, tmp_path / "c")


def test_a_run_that_was_not_trained_is_described_as_failed(data: Dataset) -> None:
    record = describe(resolve(SMALL, data))
    assert (record.status, record.test_accuracy, record.history) == ("failed", None, ())
    assert record.parameters == (64 + 1) * 256 + (256 + 1) * 256 + (256 + 1) * 10
