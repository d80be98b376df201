"""usf, brsf and frsf: the forward weights' signs, at one bit a weight, with magnitudes of their own."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import torch
from torch import Tensor

from onchip import Static, nn, rules
from onchip.cost.ledger import Ledger
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.online import Online
from onchip.learning.temporal.through_time import ThroughTime

RULES = ["usf", "brsf", "frsf"]


def model_and_signal(dtype: torch.dtype = torch.float32) -> tuple[nn.Sequential, Static]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 30), nn.LIF(), nn.Linear(30, 40), nn.LIF(), nn.Linear(40, 3)).to(dtype)
    return model, Static(torch.rand(4, 20, dtype=dtype), steps=3)


def weights(model: nn.Sequential) -> list[Tensor]:
    return [module.weight.detach() for module in model if isinstance(module, nn.Linear)]


def passes(rule: Rule, signal: Static, steps: int, *, backward: int = 1) -> None:
    for _ in range(steps):
        for _ in range(backward):
            rule.backward(rule.forward(signal).square().mean())
        rule.step()


@pytest.mark.parametrize("name", RULES)
def test_one_bit_a_weight_is_sent_each_step_and_nothing_else(name: str) -> None:
    model, signal = model_and_signal()
    rule: Rule = getattr(rules, name)(model)
    ledger = Ledger()
    rule.observe(ledger)
    passes(rule, signal, 5, backward=2)
    bill = ledger.summary()
    assert bill["transport_value_bits"] == bill["weights_transported"] == 5 * (30 * 40 + 40 * 3)
    assert bill["weights_transported_initial"] == bill["transport_index_bits"] == bill["transport_compares"] == 0


def test_usf_has_one_magnitude_a_layer_that_stays() -> None:
    model, signal = model_and_signal()
    expected = [weight.double().square().mean().sqrt().item() for weight in weights(model)[1:]]
    rule = rules.usf(model)
    for _ in range(2):
        state = rule.state_dict()
        assert [state[f"magnitude_{index}"].item() for index in (1, 2)] == pytest.approx(expected)
        weights(model)[1].mul_(2.0)
        passes(rule, signal, 1)


def test_usf_is_bp_while_all_weights_have_one_magnitude() -> None:
    model, signal = model_and_signal(torch.float64)
    for weight in weights(model):
        weight.copy_(torch.where(weight >= 0, 0.3, -0.3))
    found = []
    for make in (rules.bp, rules.usf):
        model.zero_grad()
        rule = make(model)
        rule.backward(rule.forward(signal).square().mean())
        found.append([parameter.grad for parameter in model.parameters()])
        rule.detach()
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize(
    ("temporal", "expected"),
    [
        (ThroughTime(), {"batch_independent"}),
        (Online(), {"batch_independent", "temporally_causal", "online"}),
    ],
)
@pytest.mark.parametrize("name", RULES)
def test_signs_claim_what_temporal_credit_leaves_them(name: str, temporal: Temporal, expected: set[str]) -> None:
    rule: Rule = getattr(rules, name)(model_and_signal()[0], temporal=temporal)
    assert {claim for claim, made in asdict(rule.claims).items() if made} == expected


@pytest.mark.parametrize("name", RULES)
def test_a_weight_of_zero_counts_as_positive(name: str) -> None:
    model, _ = model_and_signal()
    rule: Rule = getattr(rules, name)(model)
    weights(model)[1][0] = 0.0
    magnitude = rule.state_dict()["magnitude_1"].expand(40, 30)
    assert torch.equal(rule._feedback.weight(1)[0], magnitude[0])


def test_frsf_keeps_its_magnitudes_and_brsf_draws_new_ones() -> None:
    for name, stays in (("frsf", True), ("brsf", False)):
        model, signal = model_and_signal()
        rule: Rule = getattr(rules, name)(model)
        first = {key: value.clone() for key, value in rule.state_dict().items()}
        passes(rule, signal, 1)
        assert all(torch.equal(rule.state_dict()[f"magnitude_{index}"], first[f"magnitude_{index}"]) is stays
                   for index in (1, 2))  # fmt: skip


@pytest.mark.parametrize("name", ["frsf", "brsf"])
def test_random_magnitudes_are_half_normal_with_the_weights_spread(name: str) -> None:
    model, signal = model_and_signal()
    spread = weights(model)[1].square().mean().sqrt()
    rule: Rule = getattr(rules, name)(model)
    for _ in range(3):
        drawn = rule.state_dict()["magnitude_1"]
        assert drawn.min() >= 0
        # 1200 draws: standard errors of .02 and .02
        assert (drawn.square().mean().sqrt() / spread).item() == pytest.approx(1.0, abs=0.1)
        assert (drawn.mean() / spread).item() == pytest.approx((2 / torch.pi) ** 0.5, abs=0.1)
        passes(rule, signal, 1)
