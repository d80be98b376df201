"""Feedback that adds up: `opzo` with local read-outs is `opzo` plus local learning, and nothing more."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from onchip import rules
from onchip.cost.ledger import Ledger
from tests.cases import CASES, agree, gradients, loss_of, whole

LINEAR = CASES[0]
QUIET = 1e-9  # noise too small to change a spike


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return LINEAR.build().double()


def frames() -> Tensor:
    return LINEAR.signal().double()


@pytest.mark.parametrize("place", ["after", "before"])
def test_without_errors_at_the_read_outs_it_is_the_other_part(place: Literal["after", "before"]) -> None:
    signal, seen = frames(), []
    for local in (False, True):
        model = network()
        rule = rules.opzo(model, local=local, place=place)
        torch.manual_seed(1)
        rule.forward(signal)
        out, *others = rule.outputs
        rule.backward(loss_of(out) + sum((0.0 * other.sum() for other in others), torch.zeros(())))
        seen.append(gradients(model))
    agree(seen[1], seen[0], 0.0)


def test_without_an_error_at_the_output_it_is_local_learning() -> None:
    signal, seen = frames(), []
    for local in (False, True):
        model = network()
        rule = rules.opzo(model, local=True, scale=QUIET) if local else rules.local_learning(model)
        rule.forward(signal)
        rule.backward(whole(rule))  # so that there are read-outs
        model.zero_grad()
        generator = torch.Generator().manual_seed(1)
        for name, value in rule.state_dict().items():
            if "readout" in name:
                value.copy_(torch.randn(value.shape, generator=generator))
        rule.forward(signal)
        out, *others = rule.outputs
        rule.backward(0.0 * out.sum() + torch.stack([loss_of(other) for other in others]).sum())
        seen.append(gradients(model))
    agree(seen[1], seen[0], 1e-6)


def test_both_parts_survive_a_checkpoint_and_learn() -> None:
    signal, after = frames(), []
    for restored in (False, True):
        model = network()
        rule = rules.opzo(model, local=True)
        optimizer = torch.optim.Adam(rule.parameters(), lr=0.01)
        for step in range(4):
            if restored and step == 2:
                of_rule, of_optimizer = rule.state_dict(), optimizer.state_dict()
                rule.detach()
                rule = rules.opzo(model, local=True)
                optimizer = torch.optim.Adam(rule.parameters(), lr=0.01)
                rule.load_state_dict(of_rule)
                optimizer.load_state_dict(of_optimizer)
            torch.manual_seed(step)
            rule.forward(signal)
            rule.backward(whole(rule))
            optimizer.step()
            optimizer.zero_grad()
            rule.step()
        after.append({**rule.state_dict(), **{name: p.detach() for name, p in model.named_parameters()}})
    assert len([name for name in after[0] if "readout" in name or "estimate" in name]) == 4
    assert after[0].keys() == after[1].keys()
    assert all(torch.equal(after[0][name], after[1][name]) for name in after[0])


def test_the_bill_is_that_of_both() -> None:
    signal, bills = frames(), []
    for make in (rules.opzo, rules.local_learning, rules.bp, lambda model: rules.opzo(model, local=True)):
        rule, ledger = make(network()), Ledger()
        rule.observe(ledger)
        rule.forward(signal)
        rule.backward(whole(rule))
        bills.append(ledger.summary())
    opzo, local, bp, both = bills
    assert both["products_backward"] == 0
    assert both["products_direct"] == opzo["products_direct"] + local["products_direct"]
    for kind in ("products_forward", "products_update"):
        assert both[kind] == opzo[kind] + local[kind] - bp[kind]
