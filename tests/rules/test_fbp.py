"""`fbp`: `bp` bit for bit at period 1, a stale copy otherwise, and the transport that it books."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from onchip import nn, rules
from onchip.cost.ledger import Ledger
from onchip.errors import RequestError
from onchip.learning.rule import Rule
from onchip.learning.temporal.online import Online
from onchip.learning.temporal.through_time import ThroughTime
from onchip.transport import Cyclic, Full, Sign, Threshold, Top, Transport
from onchip.transport.base import planned_bits
from onchip.transport.schedule import Balanced
from tests.cases import CASES, Case, agree, gradients, loss_of
from tests.oracle import run_steps, run_times
from tests.stacks import ONLINE, TIMED


def train(rule: Rule, model: nn.Sequential, case: Case, steps: int) -> list[dict[str, Tensor]]:
    """Gradients of each step; new data at each, from a seed of its own."""
    optimizer = torch.optim.Adam(rule.parameters(), lr=0.01)
    seen = []
    for step in range(steps):
        torch.manual_seed(1000 + step)
        rule.backward(loss_of(rule.forward(case.signal())))
        seen.append(gradients(model))
        optimizer.step()
        optimizer.zero_grad()
        rule.step()
    return seen


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_with_period_1_it_is_bp_bit_for_bit(case: Case) -> None:
    runs = []
    for make in (rules.bp, lambda model: rules.fbp(model, period=1, transport=Full())):
        torch.manual_seed(3)
        model = case.build()
        seen = train(make(model), model, case, 40)
        runs.append((seen, {name: p.detach() for name, p in model.named_parameters()}))
    for ours, theirs in zip(runs[1][0], runs[0][0], strict=True):
        for name, gradient in theirs.items():
            assert torch.equal(ours[name], gradient), name
    for name, weight in runs[0][1].items():
        assert torch.equal(runs[1][1][name], weight), name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_with_a_longer_period_it_is_not_bp(case: Case) -> None:
    runs = []
    for make in (rules.bp, lambda model: rules.fbp(model, period=3)):
        torch.manual_seed(3)
        model = case.build()
        runs.append(train(make(model), model, case, 3))
    first = next(iter(runs[0][0]))
    assert torch.equal(runs[0][0][first], runs[1][0][first])
    assert not torch.equal(runs[0][2][first], runs[1][2][first])


@pytest.mark.parametrize("online", [False, True])
@pytest.mark.parametrize("case", ONLINE, ids=lambda case: case.name)
def test_errors_come_down_through_the_stale_copy(case: Case, online: bool) -> None:
    model = case.build()
    rule = rules.fbp(model, period=3, temporal=Online() if online else ThroughTime())
    stale = _later_weights(model)
    for step in range(1, 6):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
        if step == 3:
            stale = _later_weights(model)
        rule.step()
        frames = case.signal()
        loss_of(run_steps(model, frames, feedback=stale, online=online)).backward()
        formula = gradients(model)
        model.zero_grad()
        rule.backward(loss_of(rule.forward(frames)))
        agree(gradients(model), formula)
        model.zero_grad()


@pytest.mark.parametrize("case", TIMED, ids=lambda case: case.name)
def test_spike_times_err_through_the_stale_copy_too(case: Case) -> None:
    model, signal = case.build(), case.signal()
    rule = rules.fbp(model, period=2)
    stale = _later_weights(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    rule.step()
    loss_of(run_times(model, signal, feedback=stale)).backward()
    formula = gradients(model)
    model.zero_grad()
    rule.backward(loss_of(rule.forward(signal)))
    agree(gradients(model), formula)


def test_the_count_of_steps_survives_a_checkpoint() -> None:
    """Saved between two transports, it goes on to the next one and does not begin to count anew."""
    torch.manual_seed(3)
    model = CASES[0].build()
    rule = rules.fbp(model, period=3)
    train(rule, model, CASES[0], 4)
    twin = CASES[0].build()
    restored = rules.fbp(twin, period=3)
    twin.load_state_dict(model.state_dict())
    restored.load_state_dict(rule.state_dict())
    for steps in (1, 1, 1):
        ours, theirs = train(restored, twin, CASES[0], steps), train(rule, model, CASES[0], steps)
        assert all(torch.equal(ours[-1][name], gradient) for name, gradient in theirs[-1].items())
    fresh = rules.fbp(CASES[0].build(), period=3)
    fresh.load_state_dict(rule.state_dict())
    assert torch.equal(fresh.state_dict()["_extra_state"], torch.tensor([7, 2]))


def test_the_first_layer_has_no_copy() -> None:
    rule = rules.fbp(nn.Sequential(nn.Linear(4, 5), nn.LIF(), nn.Linear(5, 6), nn.LIF(), nn.Linear(6, 3)))
    shapes = {key: tuple(value.shape) for key, value in rule.state_dict().items() if key.startswith("feedback")}
    assert shapes == {"feedback_1": (6, 5), "feedback_2": (3, 6)}


@settings(max_examples=25, deadline=None)
@given(
    widths=st.lists(st.integers(1, 7), min_size=2, max_size=5),
    period=st.integers(1, 6),
    steps=st.integers(0, 15),
    fraction=st.sampled_from([0.01, 0.3, 0.5, 1.0]),
)
def test_transports_add_up(widths: list[int], period: int, steps: int, fraction: float) -> None:
    """Every `period` steps each layer but the first sends its share; the first copy is booked apart."""
    layers = [nn.Linear(a, b) for a, b in itertools.pairwise(widths)]
    rule, ledger = rules.fbp(nn.Sequential(*layers), period=period, transport=Top(fraction)), Ledger()
    rule.observe(ledger)
    for _ in range(steps):
        rule.step()
    sizes = [layer.weight.numel() for layer in layers[1:]]
    shares = [max(1, round(fraction * size)) for size in sizes]
    bill = ledger.summary()
    assert bill["steps"] == steps
    assert bill["weights_transported_initial"] == sum(sizes)
    assert bill["weights_transported"] == steps // period * sum(shares)
    assert bill["transport_value_bits"] == 32 * bill["weights_transported"]


def wide() -> nn.Sequential:
    """Feedback for 4,000 and for 40 weights."""
    return nn.Sequential(nn.Linear(2, 100), nn.LIF(), nn.Linear(100, 40), nn.LIF(), nn.Linear(40, 1))


def test_balanced_periods_send_a_small_layer_more_often() -> None:
    """Φ = 11: 4,000 and 40 weights, roots 63.2 and 6.3, so 1.2 -> 1 and 12.3 -> 13 steps."""
    model = wide()
    rule = rules.fbp(model, period=Balanced(11))
    first, small = (weight.clone() for weight in _later_weights(model))
    for step in range(1, 14):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(step)
        rule.step()
        state = rule.state_dict()
        assert torch.equal(state["feedback_2"], torch.full_like(small, step))
        assert torch.equal(state["feedback_1"], torch.full_like(first, 13.0) if step == 13 else first)


def test_each_layer_counts_its_own_events() -> None:
    """Cyclic transport goes round each layer by itself."""
    model = wide()
    rule = rules.fbp(model, period=Balanced(11), transport=Cyclic(0.25))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
    for _ in range(26):
        rule.step()
    sent = [(rule.state_dict()[f"feedback_{index}"] == 1.0).float().mean() for index in (1, 2)]
    assert sent == [0.5, 1.0]


@pytest.mark.parametrize("budget", [50.0, 300.0, 2_000.0, 1e9])
@pytest.mark.parametrize("transport", [None, Sign(), Top(0.1)])
def test_a_budget_is_kept(budget: float, transport: Transport | None) -> None:
    rule, ledger = rules.fbp(wide(), budget=budget, transport=transport), Ledger()
    rule.observe(ledger)
    steps = 2_000
    for _ in range(steps):
        rule.step()
    bill = ledger.summary()
    spent = bill["transport_value_bits"] + bill["transport_index_bits"]
    most = sum(planned_bits(Full() if transport is None else transport, _later_weights(wide())))
    assert 0.5 * min(budget, most) * steps < spent <= budget * steps


def test_by_default_feedback_gets_a_thousandth_of_the_bits_of_bp() -> None:
    """Of a network with feedback for 4,040 weights: 129 bits a step."""
    torch.manual_seed(0)
    ledgers = []
    for rule in (rules.fbp(wide()), rules.fbp(wide(), budget=32 * 4_040 / 1_000)):
        ledgers.append(Ledger())
        rule.observe(ledgers[-1])
        for _ in range(200):
            rule.step()
    assert ledgers[0].summary() == ledgers[1].summary()
    assert 0 < ledgers[0].summary()["transport_value_bits"] <= 200 * 129.28


def test_a_budget_for_one_event_in_a_thousand_steps_is_never_in_a_short_run() -> None:
    rule = rules.fbp(wide(), budget=0.5)
    with pytest.warns(UserWarning, match="`never`"):
        rule.expect(100)


def test_a_network_without_feedback_weights_has_nothing_to_send() -> None:
    rule = rules.fbp(nn.Sequential(nn.Linear(3, 2)))
    rule.step()
    rule.expect(1)


@pytest.mark.parametrize("period", [3, Balanced(3)])
def test_a_budget_beside_a_period_is_refused(period: int | Balanced) -> None:
    with pytest.raises(RequestError, match=r"a budget chooses the periods"):
        rules.fbp(wide(), period=period, budget=100.0)


@pytest.mark.parametrize("options", [{"budget": 100.0}, {"period": Balanced(3)}])
def test_messages_of_no_fixed_size_are_refused_where_periods_are_planned(options: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="size is not known in advance"):
        rules.fbp(wide(), transport=Threshold(0.1), **options)


@pytest.mark.parametrize("period", [0, -1])
def test_periods_out_of_range_are_refused(period: int) -> None:
    with pytest.raises(RequestError, match=f"fbp got period={period}; expected at least 1"):
        rules.fbp(nn.Sequential(nn.Linear(2, 2)), period=period)


def _later_weights(model: nn.Sequential) -> list[Tensor]:
    layers = [module for module in model if isinstance(module, nn.Linear | nn.Conv2d)]
    return [layer.weight.detach().clone() for layer in layers[1:]]
