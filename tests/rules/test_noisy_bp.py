"""Backpropagation under forward noise: the forward pass of `opzo`, the errors of `ottt` or `bp`."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch.nn import Module

from onchip import nn, rules
from onchip.cost.ledger import Ledger
from onchip.errors import RequestError, UnsupportedError
from onchip.learning.noise import Gaussian
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.online import Online
from onchip.learning.temporal.through_time import ThroughTime
from tests.cases import CASES, Case, agree, gradients, loss_of, scaled

QUIET = 1e-9  # noise too small to change a spike


@pytest.mark.parametrize("case", CASES[:2], ids=lambda case: case.name)
def test_its_forward_pass_is_that_of_opzo(case: Case) -> None:
    signal, outputs = case.signal(), []
    for make in (rules.noisy_bp, rules.opzo, rules.ottt):
        torch.manual_seed(0)
        outputs.append(make(case.build()).forward(signal))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


@pytest.mark.parametrize("case", CASES[:2], ids=lambda case: case.name)
@pytest.mark.parametrize(("temporal", "make"), [(Online(), rules.ottt), (ThroughTime(), rules.bp)])
def test_without_noise_it_is_ottt_or_bp(case: Case, temporal: Temporal, make: Callable[[Module], Rule]) -> None:
    torch.manual_seed(0)
    model, signal = case.build().double(), case.signal().double()
    rule = make(model)
    rule.backward(loss_of(rule.forward(signal)))
    expected = gradients(model)
    model.zero_grad()
    rule.detach()
    rule = rules.noisy_bp(model, scale=QUIET, temporal=temporal)
    rule.backward(loss_of(rule.forward(signal)))
    agree(gradients(model), expected, 1e-6)


def test_updates_equal_their_formulas() -> None:
    """Without neurons plain autograd knows them, given the noise that the rule drew."""
    model = nn.Sequential(nn.Linear(5, 8), nn.Linear(8, 3)).double()
    frames = torch.rand(4, 2, 5, dtype=torch.float64)
    rule = rules.noisy_bp(model, scale=0.3, noise=Gaussian())
    rest = torch.random.get_rng_state()
    rule.backward(loss_of(rule.forward(frames)))
    ours = gradients(model)
    model.zero_grad()
    torch.random.set_rng_state(rest)
    first, last = model
    loss_of(last(first(frames) + 0.3 * torch.randn(4, 2, 8, dtype=torch.float64))).backward()
    agree(ours, gradients(model))


def test_it_transports_all_weights() -> None:
    bills = []
    for make in (rules.ottt, rules.noisy_bp):
        rule, ledger = make(CASES[0].build()), Ledger()
        rule.observe(ledger)
        rule.backward(loss_of(rule.forward(CASES[0].signal())))
        bills.append({name: n for name, n in ledger.summary().items() if name.startswith(("products", "weights"))})
    assert bills[0] == bills[1]
    assert bills[0]["weights_transported"] > 0


def test_refusals() -> None:
    model = scaled(nn.Sequential(nn.Linear(4, 8), nn.LIF(), nn.Linear(8, 3)), 3.0)
    for scale in (0.0, math.nan, math.inf):
        with pytest.raises(RequestError, match="scale="):
            rules.noisy_bp(model, scale=scale)
    with pytest.raises(UnsupportedError, match="noisy_bp cannot train TTFS"):
        rules.noisy_bp(next(case for case in CASES if case.name == "ttfs-linear").build())
