"""`fa` against a loop in which errors come down through the rule's own random weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.cost.ledger import Ledger
from onchip.learning.rule import Rule
from onchip.learning.temporal.online import Online
from tests.cases import CASES, Case, agree, gradients, loss_of
from tests.oracle import run_steps, run_times
from tests.stacks import ONLINE, STACKS, TIMED


def feedback_of(rule: Rule) -> list[Tensor]:
    state = rule.state_dict()
    return [state[f"feedback_{index}"] for index in range(1, 1 + sum(key.startswith("feedback_") for key in state))]


@pytest.mark.parametrize("case", STACKS, ids=lambda case: case.name)
def test_fa_is_its_formula_through_time(case: Case) -> None:
    model, frames = case.build(), case.signal()
    rule = rules.fa(model)
    loss_of(run_steps(model, frames, feedback=feedback_of(rule))).backward()
    formula = gradients(model)
    model.zero_grad()
    rule.backward(loss_of(rule.forward(frames)))
    agree(gradients(model), formula)


@pytest.mark.parametrize("case", ONLINE, ids=lambda case: case.name)
def test_fa_is_its_formula_online(case: Case) -> None:
    model, frames = case.build(), case.signal()
    rule = rules.fa(model, temporal=Online())
    loss_of(run_steps(model, frames, feedback=feedback_of(rule), online=True)).backward()
    formula = gradients(model)
    model.zero_grad()
    rule.backward(loss_of(rule.forward(frames)))
    agree(gradients(model), formula)


@pytest.mark.parametrize("case", TIMED, ids=lambda case: case.name)
def test_fa_is_its_formula_for_spike_times(case: Case) -> None:
    model, signal = case.build(), case.signal()
    rule = rules.fa(model)
    loss_of(run_times(model, signal, feedback=feedback_of(rule))).backward()
    formula = gradients(model)
    model.zero_grad()
    rule.backward(loss_of(rule.forward(signal)))
    agree(gradients(model), formula)


def test_feedback_has_the_weights_spread_and_nothing_else_of_them() -> None:
    layer = nn.Linear(300, 200)
    weight = layer.weight.detach()
    weight.mul_(5).add_(0.1)
    rule = rules.fa(nn.Sequential(nn.Linear(4, 300), layer))
    (feedback,) = feedback_of(rule)
    assert feedback.shape == weight.shape
    assert feedback.square().mean().item() == pytest.approx(weight.square().mean().item(), rel=0.02)
    assert abs(torch.corrcoef(torch.stack([feedback.flatten(), weight.flatten()]))[0, 1].item()) < 0.02
    before = feedback.clone()
    rule.step()
    assert torch.equal(feedback_of(rule)[0], before)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_gradient_reads_a_forward_weight_after_the_forward_pass(case: Case) -> None:
    """Poisoned weights would poison every error that still came down through them."""
    model, signal = case.build(), case.signal()
    rule = rules.fa(model)
    torch.manual_seed(0)
    rule.backward(loss_of(rule.forward(signal)))
    clean = gradients(model)
    model.zero_grad()
    torch.manual_seed(0)
    loss = loss_of(rule.forward(signal))
    _poison(model)
    rule.backward(loss)
    for name, gradient in gradients(model).items():
        assert torch.equal(gradient, clean[name]), name


def test_the_poison_does_reach_bp() -> None:
    model, signal = CASES[0].build(), CASES[0].signal()
    rule = rules.bp(model)
    loss = loss_of(rule.forward(signal))
    _poison(model)
    rule.backward(loss)
    assert bool(gradients(model)["0.weight"].isnan().any())


def test_nothing_is_transported() -> None:
    model, signal = CASES[0].build(), CASES[0].signal()
    rule, ledger = rules.fa(model), Ledger()
    rule.observe(ledger)
    rule.backward(loss_of(rule.forward(signal)))
    rule.step()
    assert ledger.summary()["weights_transported"] == ledger.summary()["weights_transported_initial"] == 0
    assert ledger.summary()["products_backward"] > 0


def _poison(model: nn.Sequential) -> None:
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                module.weight.data.fill_(torch.nan)  # `data`: behind the back of the check for such changes
