"""Anchored DKP: OPZO's estimate and DKP's update of one matrix, each by its own formula."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.cost.ledger import Ledger
from onchip.errors import RequestError
from onchip.learning.rule import Rule
from tests.cases import CASES, Case, gradients, loss_of, scaled

RATE, DECAY = 0.05, 0.02


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return scaled(nn.Sequential(nn.Linear(5, 8), nn.LIF(), nn.Linear(8, 7), nn.LIF(), nn.Linear(7, 3)), 3.0).double()


def frames(seed: int) -> Tensor:
    return torch.rand(4, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def fill(rule: Rule, seed: int) -> None:
    """One gradient, under noise that only the seed decides."""
    torch.manual_seed(seed)
    rule.backward(loss_of(rule.forward(frames(seed))))


def feedback_of(rule: Rule) -> list[Tensor]:
    return [value.clone() for name, value in rule.state_dict().items() if not name.startswith("_")]


def test_without_updates_of_its_own_it_is_opzo() -> None:
    states, updates = [], []
    for make in (rules.opzo, rules.anchored_dkp):
        model = network()
        rule = make(model, momentum=0.9)
        for seed in range(3):
            model.zero_grad()
            torch.manual_seed(seed)
            out = rule.forward(frames(seed))  # the matrices are drawn here at first, after the noise
            rule.backward(loss_of(out))
            rule.step()
        states.append(feedback_of(rule))
        updates.append(gradients(model))
    torch.testing.assert_close(*states)
    torch.testing.assert_close(*updates)


def test_once_quiet_it_is_dkp_from_the_estimate() -> None:
    model = network()
    ours = rules.anchored_dkp(model, decay=DECAY, quiet_after=1)
    fill(ours, 0)
    ours.step()
    start = feedback_of(ours)
    twin = network()
    dkp = rules.dkp(twin, decay=DECAY)
    dkp.load_state_dict({f"feedback_{index}": value for index, value in enumerate(start, start=1)})
    for parameter in ours.parameters():
        parameter.grad = None
    for rule in (ours, dkp):
        optimizer = torch.optim.SGD(rule.parameters(), lr=RATE)
        for seed in range(1, 4):
            optimizer.zero_grad()
            fill(rule, seed)
            optimizer.step()
            rule.step()
    torch.testing.assert_close(feedback_of(ours), feedback_of(dkp))
    torch.testing.assert_close(model.state_dict(), twin.state_dict())
    assert not torch.equal(feedback_of(ours)[0], start[0])


def test_estimate_and_update_meet_in_one_matrix() -> None:
    """D and M by their formulas through two steps, the noise turned down in between by the batch's size."""
    rule, plain = rules.anchored_dkp(network(), momentum=0.5), rules.opzo(network(), momentum=0.5)
    *_, last = rule.parameters()
    fill(rule, 0)
    fill(plain, 0)
    with torch.no_grad():
        last.add_(0.1)  # what an optimizer would do
    before = feedback_of(rule)[-1]
    torch.testing.assert_close(before, feedback_of(plain)[-1] + 0.1)
    for each in (rule, plain):
        torch.manual_seed(1)
        each.forward(frames(1)[:, :2])  # two samples now, three before
    share = 2 / (0.5 * 3 + 2)
    estimate = (feedback_of(plain)[-1] - (1 - share) * (before - 0.1)) / share
    torch.testing.assert_close(feedback_of(rule)[-1], (1 - share) * before + share * estimate)


@pytest.mark.parametrize("case", CASES[:2], ids=lambda case: case.name)
def test_no_error_passes_and_quiet_steps_cost_what_dkp_costs(case: Case) -> None:
    bills = []
    for make in (rules.dkp, rules.anchored_dkp):
        rule, ledger = make(case.build()), Ledger()
        if make is rules.anchored_dkp:
            rule.detach()
            rule = make(case.build(), quiet_after=1)
            rule.backward(loss_of(rule.forward(case.signal())))
            rule.step()
        rule.observe(ledger)
        rule.backward(loss_of(rule.forward(case.signal())))
        bills.append({name: n for name, n in ledger.summary().items() if name.startswith(("products", "weights"))})
    assert bills[0] == bills[1]
    assert bills[1]["products_backward"] == bills[1]["weights_transported"] == 0


def test_refusals() -> None:
    model = network()
    for options in ({"scale": 0.0}, {"momentum": 1.0}, {"decay": -1.0}, {"decay": math.nan}, {"quiet_after": 0}):
        with pytest.raises(RequestError, match=f"anchored_dkp got {next(iter(options))}="):
            rules.anchored_dkp(model, **options)
    rule = rules.anchored_dkp(model)
    model.eval()
    out = rule.forward(frames(0))
    with pytest.raises(RequestError, match="not probed"):
        rule.backward(loss_of(out))
