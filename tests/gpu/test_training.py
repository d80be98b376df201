"""A step of every rule on a GPU against the same step on the CPU, and whole runs."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from onchip import rules
from onchip.errors import MemoryLimitError
from onchip.runs.config import RunConfig
from onchip.training.builder import load_data
from onchip.training.loop import train
from tests.cases import Case, gradients, pairs
from tests.rules.test_contract import RULES, Trainer, over

GPU = "cuda"
SPEC = RunConfig(net="conv-small", train_size=96, steps=3, epochs=2, device=GPU)


def filled(name: str, case: Case, device: str, seed: int = 1) -> tuple[Trainer, dict[str, Tensor]]:
    """A rule with one gradient; network, feedback and signal are drawn on the CPU."""
    trainer = Trainer(name, case)
    signal = case.signal()
    trainer.rule.to(device)
    trainer.fill(signal.to(device), seed)
    return trainer, gradients(trainer.model)


@over(pairs())
def test_a_step_is_the_cpus(name: str, case: Case) -> None:
    """Rules and neurons that draw do so from another generator there: of those, the kind of result is all."""
    _, expected = filled(name, case, "cpu")
    _, drawn = filled(name, case, "cpu", seed=2)
    trainer, got = filled(name, case, GPU)
    assert got.keys() == expected.keys()
    for key, gradient in got.items():
        assert gradient.device.type == torch.device(GPU).type
        assert bool(gradient.isfinite().all())
        if torch.equal(drawn[key], expected[key]):
            torch.testing.assert_close(gradient.cpu(), expected[key], rtol=1e-4, atol=1e-5)
    trainer.update()
    trainer.train(case.signal().to(GPU), 3)


@pytest.mark.parametrize("name", sorted(RULES))
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_run_of_every_rule(name: str, precision: str) -> None:
    neuron = "stochastic" if name in ("ssnn_bp", "own_noise_mirror") else "lif"
    spec = dataclasses.replace(SPEC, rule=name, neuron=neuron, precision=precision)  # type: ignore[arg-type]
    record = train(spec, load_data(spec))
    assert record.status == "ok"
    assert record.device == GPU
    assert record.versions["kernels"] == "triton"


def test_spikes_of_a_run_are_the_cpus() -> None:
    """No draw, one step: the networks differ by the rounding of products alone."""
    weights = []
    for device in ("cpu", GPU):
        torch.manual_seed(0)
        trainer, _ = filled("bp", next(case for name, case in pairs() if name == "bp"), device)
        trainer.update()
        weights.append({name: value.cpu() for name, value in trainer.weights().items()})
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-3, atol=1e-4)


def test_bfloat16_agrees_with_float32() -> None:
    for name in ("bp", "ottt", "dfa"):
        found = []
        for rounded in (False, True):
            case = next(case for rule, case in pairs() if rule == name and case.name == "lif-conv")
            trainer, signal = Trainer(name, case), case.signal()
            trainer.rule.to(GPU)
            if rounded:
                trainer.rule.in_bfloat16()
            trainer.fill(signal.to(GPU), 1)
            found.append(torch.cat([gradient.flatten() for gradient in gradients(trainer.model).values()]))
        assert torch.nn.functional.cosine_similarity(found[0], found[1], dim=0) > 0.95


def test_a_batch_that_does_not_fit_is_refused_with_one_that_does() -> None:
    torch.cuda.empty_cache()
    spec = dataclasses.replace(SPEC, net="conv-wide", train_size=1024, batch_size=1024, steps=200, epochs=1)
    torch.cuda.set_per_process_memory_fraction(min(1.0, 1.5 * 2**30 / torch.cuda.get_device_properties(0).total_memory))
    try:
        with pytest.raises(MemoryLimitError, match=r"a batch of \d+ fits\. Use --batch-size \d+"):
            train(spec, load_data(spec))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_feedback_goes_along() -> None:
    case = pairs()[0][1]
    model = case.build()
    rule = rules.fa(model).to(GPU)
    assert rule.forward(case.signal().to(GPU)).device.type == torch.device(GPU).type
