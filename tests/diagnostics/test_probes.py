from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from onchip import rules
from onchip.diagnostics import alignment
from onchip.diagnostics.probes import Probes
from onchip.runs.config import RunConfig
from onchip.training.builder import load_data
from onchip.training.loop import train
from onchip.training.progress import ProgressListener
from onchip.training.registry import network, neuron

SPEC = RunConfig(net="conv-small", train_size=60, batch_size=20, steps=2, epochs=2, probe=3)
DATA = load_data(SPEC)
HIDDEN = {"rate", "passing", "silent", "dead", "saturated"}


@given(st.integers(1, 30), st.integers(1, 6), st.integers(1, 12))
def test_looks_are_spread_and_leave_a_step_for_the_variance(times: int, epochs: int, steps: int) -> None:
    at = Probes(times, epochs, steps).at
    assert at <= set(range(epochs * steps))
    assert 1 <= len(at) <= times
    if steps > 1:
        assert all((step + 1) % steps for step in at)
    if times <= epochs:
        assert len(at) == times


@pytest.mark.parametrize("rule", ["bp", "fbp:period=4", "kolen-pollack", "dfa", "opzo", "brsf"])
def test_probes_change_no_result(rule: str, tmp_path: Path) -> None:
    spec = dataclasses.replace(SPEC, rule=rule, probe=0)
    plain = train(spec, DATA, weights=tmp_path / "plain")
    probed = train(dataclasses.replace(spec, probe=3), DATA, weights=tmp_path / "probed")
    before, after = load_file(tmp_path / "plain"), load_file(tmp_path / "probed")
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert (plain.probes, plain.ledger, plain.test_accuracy) == ((), probed.ledger, probed.test_accuracy)
    assert [probe.step for probe in probed.probes] == [1, 3, 4]


def test_what_is_seen_in_each_layer() -> None:
    (first, *_) = train(dataclasses.replace(SPEC, rule="fa"), DATA).probes
    *hidden, last = first.layers.values()
    assert set(last) == {"cosine", "norm_ratio", "feedback_cosine", "gradient_variance"}
    assert set(hidden[0]) == {"cosine", "norm_ratio", "gradient_variance"} | HIDDEN
    assert set(hidden[1]) == set(last) | HIDDEN
    assert last["cosine"] == pytest.approx(1.0, abs=1e-5)
    assert abs(hidden[0]["cosine"] or 1.0) < 0.9


def test_bp_is_its_own_reference_and_copies_stay_near() -> None:
    for layer in train(dataclasses.replace(SPEC, rule="bp"), DATA).probes[-1].layers.values():
        assert layer["cosine"] == pytest.approx(1.0, abs=1e-5)
        assert layer["norm_ratio"] == pytest.approx(1.0, abs=1e-4)
        assert "feedback_cosine" not in layer
    frozen = train(dataclasses.replace(SPEC, rule="never", lr=1e-3), DATA).probes
    drift = [list(probe.layers.values())[-1]["feedback_cosine"] or 0.0 for probe in frozen]
    assert 1.0 > drift[0] > drift[-1] > 0.5


def test_a_resumed_run_has_seen_the_same(tmp_path: Path) -> None:
    class Stop(ProgressListener):
        def epoch_ended(self, epoch: object) -> None:
            raise KeyboardInterrupt

    whole = train(SPEC, DATA)
    with pytest.raises(KeyboardInterrupt):
        train(SPEC, DATA, save_to=tmp_path / "run", watch=Stop())
    assert train(SPEC, DATA, save_to=tmp_path / "run", resume=True).probes == whole.probes


def test_the_variance_is_that_between_batches() -> None:
    model = network("mlp")((1, 4, 4), 3, neuron=neuron("lif")[0])
    rule = rules.bp(model)
    probes = Probes(1, 1, 10)
    gradients = []
    for step in range(10):
        signal = torch.rand(2, 5, 1, 4, 4)

        def loss(out: Any) -> Any:
            return out.square().mean()

        rule.backward(loss(rule.forward(signal)))
        if step in (8, 9):
            gradients.append({stage.name: stage.weight.grad for stage in rule.layers})
            exact = alignment(model, signal, loss)
        probes.look(step, rule, model, signal, loss)
        for parameter in model.parameters():
            parameter.grad = None
        rule.step()
    (probe,) = probes.seen
    assert probe.step == 8
    for name in exact:
        pair = torch.stack([found[name] for found in gradients])  # type: ignore[misc]
        assert probe.layers[name]["gradient_variance"] == pytest.approx(pair.var(0).mean().item(), rel=1e-4)
