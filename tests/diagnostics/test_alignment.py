"""The probe that compares a rule's gradients with those of backpropagation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from onchip import Static, nn, rules
from onchip.cost.ledger import Ledger
from onchip.diagnostics import alignment
from onchip.diagnostics.alignment import Alignment
from onchip.errors import RequestError
from onchip.learning.rule import Rule


def case(kind: str) -> tuple[nn.Sequential, Tensor | Static]:
    torch.manual_seed(0)
    if kind == "times":
        model = nn.Sequential(nn.Linear(6, 12, bias=False), nn.TTFS(), nn.Linear(12, 3, bias=False), nn.TTFSReadout())
        for parameter in model.parameters():
            parameter.data.mul_(2.0)
        return model.double(), torch.rand(4, 6, dtype=torch.float64)
    model = nn.Sequential(nn.Linear(6, 12), nn.LIF(threshold=0.3), nn.Linear(12, 3))
    return model.double(), Static(torch.rand(4, 6, dtype=torch.float64), steps=4)


def weight_of(model: nn.Sequential, place: int) -> Tensor:
    weight = model[place].weight
    assert isinstance(weight, Tensor)
    return weight


def loss(output: Tensor) -> Tensor:
    return output.square().mean()


def stepped(rule: Rule, signal: Tensor | Static) -> None:
    rule.backward(loss(rule.forward(signal)))


@pytest.mark.parametrize("kind", ["steps", "times"])
def test_bp_is_aligned_with_itself(kind: str) -> None:
    model, signal = case(kind)
    stepped(rules.bp(model), signal)
    for found in alignment(model, signal, loss).values():
        assert found.cosine == pytest.approx(1.0)
        assert found.norm_ratio == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["steps", "times"])
def test_fa_is_measured_by_the_textbook_formula(kind: str) -> None:
    model, signal = case(kind)
    reference = rules.bp(model)
    stepped(reference, signal)
    exact = weight_of(model, 0).grad
    assert exact is not None
    reference.detach()
    model.zero_grad()
    stepped(rules.fa(model), signal)
    got = weight_of(model, 0).grad
    assert got is not None
    dot = sum(a * b for a, b in zip(got.flatten().tolist(), exact.flatten().tolist(), strict=True))
    norms = [math.sqrt(sum(a * a for a in gradient.flatten().tolist())) for gradient in (got, exact)]
    first, last = alignment(model, signal, loss).values()
    assert first.cosine == pytest.approx(dot / norms[0] / norms[1])
    assert first.norm_ratio == pytest.approx(norms[0] / norms[1])
    assert abs(dot / norms[0] / norms[1]) < 0.99
    assert last.cosine == pytest.approx(1.0)
    assert last.norm_ratio == pytest.approx(1.0)


def test_looking_changes_nothing() -> None:
    model, signal = case("steps")
    model.insert(2, nn.Dropout(0.5))
    rule, ledger = rules.brsf(model), Ledger()
    rule.observe(ledger)
    stepped(rule, signal)
    gradients = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    bill, random, state = ledger.summary(), torch.get_rng_state(), rule.state_dict()
    with torch.no_grad():
        alignment(model, signal, loss)
    assert ledger.summary() == bill
    assert torch.equal(torch.get_rng_state(), random)
    for before, parameter in zip(gradients, model.parameters(), strict=True):
        assert parameter.grad is not None
        assert torch.equal(before, parameter.grad)
    assert all(torch.equal(state[key], value) for key, value in rule.state_dict().items())


def test_vanishing_gradients_have_no_angle() -> None:
    model, signal = case("steps")
    stepped(rules.bp(model), signal)
    weight_of(model, 0).grad = torch.zeros(12, 6, dtype=torch.float64)
    assert alignment(model, signal, loss)["0"] == Alignment(None, 0.0)
    assert alignment(model, signal, lambda output: 0.0 * output.sum())["2"] == Alignment(None, None)


def test_a_frozen_layer_is_left_out() -> None:
    model, signal = case("steps")
    weight_of(model, 0).requires_grad_(False)
    stepped(rules.bp(model), signal)
    assert list(alignment(model, signal, loss)) == ["2"]


def test_without_gradients_it_is_refused() -> None:
    model, signal = case("steps")
    with pytest.raises(RequestError, match=r"layer '0' holds no gradient; call alignment after rule.backward"):
        alignment(model, signal, loss)
