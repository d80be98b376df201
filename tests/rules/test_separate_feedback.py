"""Rules whose errors come down through weights of their own: gradients against plain loops that use B."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.learning.rule import Rule
from tests.cases import CASES, Case, gradients, loss_of
from tests.oracle import run_steps, run_times

# Neurons that draw have an oracle of their own, in test_ssnn_bp.py.
DETERMINED = [case for case in CASES if not case.name.startswith("stream")]
SEPARATE = ["brsf", "fa", "fbp", "frsf", "kolen_pollack", "never", "usf", "weight_mirror"]


def feedback_of(rule: Rule, model: nn.Sequential) -> list[Tensor]:
    """B of each layer but the first, as each rule documents it."""
    state = rule.state_dict()
    synapses = (module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d))
    weights = [module.weight.detach() for module in synapses]
    return [
        state[f"feedback_{index}"].clone()
        if f"feedback_{index}" in state
        else weight.sign() * state[f"magnitude_{index}"]
        for index, weight in enumerate(weights[1:], start=1)
    ]


def train(rule: Rule, optimizer: torch.optim.Optimizer, signal: Tensor, steps: int) -> None:
    for _ in range(steps):
        rule.backward(loss_of(rule.forward(signal)))
        optimizer.step()
        optimizer.zero_grad()
        rule.step()


def made(case: Case) -> tuple[nn.Sequential, Tensor]:
    model, signal = case.build().double(), case.signal()
    assert isinstance(signal, Tensor)
    return model, signal.double()


@pytest.mark.parametrize("case", DETERMINED, ids=lambda case: case.name)
@pytest.mark.parametrize("name", SEPARATE)
def test_gradients_are_those_of_plain_loops_with_b_backward(name: str, case: Case) -> None:
    model, signal = made(case)
    rule: Rule = getattr(rules, name)(model)
    train(rule, torch.optim.SGD(rule.parameters(), lr=1e-3), signal, 2)
    plain, feedback = copy.deepcopy(model), feedback_of(rule, model)
    rule.backward(loss_of(rule.forward(signal)))
    run = run_times if case.name.startswith("ttfs") else run_steps
    loss_of(run(plain, signal, feedback=feedback)).backward()
    got, expected = gradients(model), gradients(plain)
    assert got.keys() == expected.keys()
    for parameter, gradient in got.items():
        assert gradient.any()
        torch.testing.assert_close(gradient, expected[parameter], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", SEPARATE)
def test_a_rule_resumes_exactly_from_its_state(name: str) -> None:
    options = {"fbp": {"period": 3}, "weight_mirror": {"period": 3}}.get(name, {})

    def fresh() -> tuple[nn.Sequential, Tensor, Rule, torch.optim.Optimizer]:
        model, signal = made(CASES[0])
        rule: Rule = getattr(rules, name)(model, **options)
        return model, signal, rule, torch.optim.Adam(rule.parameters(), lr=0.01)

    model, signal, rule, optimizer = fresh()
    train(rule, optimizer, signal, 2)
    kept = copy.deepcopy((model.state_dict(), rule.state_dict(), optimizer.state_dict(), torch.get_rng_state()))
    train(rule, optimizer, signal, 3)

    other_model, _, other, other_optimizer = fresh()
    other_model.load_state_dict(kept[0])
    other.load_state_dict(kept[1])
    other_optimizer.load_state_dict(kept[2])
    torch.set_rng_state(kept[3])
    train(other, other_optimizer, signal, 3)
    for one, two in zip(model.parameters(), other_model.parameters(), strict=True):
        assert torch.equal(one, two)
    for key, value in rule.state_dict().items():
        assert torch.equal(value, other.state_dict()[key])
