"""Direct Kolen-Pollack: the feedback's update is its formula, and in the last layer that of the read-out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.cost.ledger import Ledger
from onchip.errors import RequestError, UnsupportedError
from onchip.learning.lr_scaling import groups
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.online import Online
from onchip.learning.temporal.through_time import ThroughTime
from tests.cases import CASES, Case, agree, gradients, loss_of, scaled
from tests.oracle import run_steps

RATE, DECAY = 0.05, 0.02


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return scaled(nn.Sequential(nn.Linear(5, 8), nn.LIF(), nn.Linear(8, 7), nn.LIF(), nn.Linear(7, 3)), 3.0)


def feedback_of(rule: Rule) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in rule.state_dict().items()}


def test_updates_equal_their_formulas() -> None:
    model, frames = network().double(), torch.rand(4, 3, 5, dtype=torch.float64)
    rule = rules.dkp(model, decay=DECAY)
    rule.backward(loss_of(rule.forward(frames)))
    ours = gradients(model)
    learnt = list(rule.parameters())[-2:]
    feedback = list(feedback_of(rule).values())
    model.zero_grad()

    taps: list[list[Tensor]] = []
    output = run_steps(model, frames, online=True, taps=taps)
    loss = loss_of(output)
    (errors,) = torch.autograd.grad(loss, output, retain_graph=True)
    for index, (f, parameter) in enumerate(zip(feedback, learnt, strict=True)):
        received = torch.stack([arrived[index] for arrived in taps])
        loss = loss + (received * torch.einsum("nc,tbc->tbn", f, errors)).sum()
        expected = torch.einsum("tbn,tbc->nc", received.detach(), errors) + DECAY * f
        assert parameter.grad is not None
        agree({"F": parameter.grad}, {"F": expected})
    loss.backward()
    agree(ours, gradients(model))


def test_the_last_feedback_nears_the_readout_by_the_decay_alone() -> None:
    model = network().double()
    rule = rules.dkp(model, decay=DECAY)
    readout = model[4]
    assert isinstance(readout, nn.Linear)
    last = list(rule.parameters())[-1]
    others = [parameter for parameter in rule.parameters() if parameter is not readout.weight]
    decaying: list[dict[str, Any]] = [{"params": [readout.weight], "weight_decay": DECAY}, {"params": others}]
    optimizer = torch.optim.SGD(decaying, lr=RATE)
    differences = []
    for _ in range(6):
        optimizer.zero_grad()
        rule.backward(loss_of(rule.forward(torch.rand(4, 3, 5, dtype=torch.float64))))
        differences.append(last.detach() - readout.weight.detach().t())
        optimizer.step()
        rule.step()
    assert bool(differences[0].any())
    for before, after in itertools.pairwise(differences):
        torch.testing.assert_close(after, (1 - RATE * DECAY) * before, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("temporal", [Online(), ThroughTime()], ids=["online", "through_time"])
def test_with_local_readouts_errors_are_those_of_both_rules(temporal: Temporal) -> None:
    """Updates of hidden weights are linear in their errors; those of all read-outs do not depend on the other's."""
    torch.manual_seed(1)
    model, frames = network().double(), torch.rand(4, 3, 5, dtype=torch.float64)
    both = rules.dkp(model, decay=DECAY, temporal=temporal, local=True)
    found, matrices = learned_from(both, frames), feedback_of(both)
    alone: dict[str, Tensor] = {}
    parts: dict[str, Callable[[], Rule]] = {
        "part_0.": lambda: rules.dkp(model, decay=DECAY, temporal=temporal),
        "part_1.": lambda: rules.local_learning(model, temporal=temporal),
    }
    for part, make in parts.items():
        both.detach()
        both = make()
        own = {name: value for name, value in matrices.items() if name.startswith(part)}
        both.load_state_dict({name.removeprefix(part): value for name, value in own.items()})
        learned = learned_from(both, frames)
        alone |= learned | {f"{part}{name}": value for name, value in learned.items()}
    both.detach()
    for name, value in found.items():
        hidden = name in ("0.weight", "0.bias", "2.weight", "2.bias")
        expected = alone[f"part_0.{name}"] + alone[f"part_1.{name}"] if hidden else alone[name]
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-12)


def learned_from(rule: Rule, frames: Tensor) -> dict[str, Tensor]:
    """Gradients of one batch, those of the network by their names and those of feedback by theirs."""
    rule.forward(frames)
    rule.backward(sum((loss_of(output) for output in rule.outputs), torch.zeros(())))
    named = {**dict(rule.network.named_parameters()), **dict(rule.feedback.named_parameters())}
    found = {name: p.grad.clone() for name, p in named.items() if p.grad is not None}
    for parameter in named.values():
        parameter.grad = None
    rule.step()
    return found


def test_feedback_begins_as_in_dfa() -> None:
    torch.manual_seed(0)
    model = scaled(nn.Sequential(nn.Linear(4, 400), nn.LIF(), nn.Linear(400, 50)), 3.0)
    rule = rules.dkp(model)
    (empty,) = rule.state_dict().values()
    assert empty.numel() == 0, "nothing is drawn before the first error arrives"
    rule.backward(loss_of(rule.forward(torch.rand(2, 3, 4))))
    (feedback,) = rule.state_dict().values()
    assert feedback.shape == (400, 50)
    assert 0.999 / math.sqrt(400) < feedback.abs().max().item() <= 1 / math.sqrt(400)
    assert feedback.std().item() == pytest.approx(1 / math.sqrt(3 * 400), rel=0.02)


def test_an_optimizer_made_before_the_first_pass_trains_the_feedback() -> None:
    rule = rules.dkp(network())
    held = groups(rule.parameters(), "fan")
    assert len(held) == 1, "feedback from a few classes has a small fan-in"
    optimizer = torch.optim.Adam(held, lr=0.01)
    rule.backward(loss_of(rule.forward(torch.rand(4, 3, 5))))
    before = feedback_of(rule)
    optimizer.step()
    for name, value in rule.state_dict().items():
        assert value.numel()
        assert not torch.equal(value, before[name])


def test_states_load_before_and_after_the_first_pass() -> None:
    fresh, used = rules.dkp(network()), rules.dkp(network())
    empty = feedback_of(fresh)
    used.backward(loss_of(used.forward(torch.rand(4, 3, 5))))
    full = feedback_of(used)
    identities = [id(parameter) for parameter in used.parameters()]
    for target, state in ((fresh, full), (used, empty), (used, full)):
        target.load_state_dict(state)
        assert all(torch.equal(value, state[name]) for name, value in target.state_dict().items())
    assert [id(parameter) for parameter in used.parameters()] == identities
    used.backward(loss_of(used.forward(torch.rand(4, 3, 5))))


def test_decay_counts_once_a_step_and_gradients_add_up() -> None:
    model, frames = network().double(), torch.rand(4, 3, 5, dtype=torch.float64)
    rule = rules.dkp(model, decay=DECAY)
    *_, last = rule.parameters()
    rule.backward(loss_of(rule.forward(frames)))
    assert last.grad is not None
    alone = last.grad.clone()
    rule.backward(loss_of(rule.forward(frames)))
    torch.testing.assert_close(last.grad, 2 * alone - DECAY * last.detach())


@pytest.mark.parametrize("case", CASES[:2], ids=lambda case: case.name)
def test_the_bill_is_that_of_dfa_and_as_much_again_to_learn(case: Case) -> None:
    bills = []
    for make in (rules.dfa, rules.dkp):
        rule, ledger = make(case.build()), Ledger()
        rule.observe(ledger)
        rule.backward(loss_of(rule.forward(case.signal())))
        bills.append(ledger.summary())
    dfa, ours = bills
    assert ours["products_backward"] == ours["weights_transported"] == 0
    assert ours["products_direct"] == dfa["products_direct"]
    assert ours["products_update"] - dfa["products_update"] == ours["products_direct"]


def test_refusals() -> None:
    for decay in (-1.0, math.nan, math.inf):
        with pytest.raises(RequestError, match="decay="):
            rules.dkp(network(), decay=decay)
    with pytest.raises(UnsupportedError, match="dkp cannot train TTFS"):
        rules.dkp(next(case for case in CASES if case.name == "ttfs-linear").build())
    rule = rules.dkp(network())
    rule.load_state_dict({"feedback_1": torch.randn(9, 3), "feedback_2": torch.randn(7, 3)})
    loss = loss_of(rule.forward(torch.rand(4, 3, 5)))
    with pytest.raises(RequestError, match=r"dkp has feedback weights \(9, 3\) for layer '2', which needs \(8, 3\)"):
        rule.backward(loss)
