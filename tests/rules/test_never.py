"""never: feedback through the first weights; the baseline of every scheme of transport."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from onchip import Static, nn, rules
from onchip.cost.ledger import Ledger
from onchip.learning.rule import Rule
from onchip.transport import Cyclic, Threshold
from onchip.transport.schedule import Doubling


def model_of() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 12), nn.LIF(threshold=0.3), nn.Linear(12, 8), nn.LIF(threshold=0.3), nn.Linear(8, 3)
    )


def weight_of(model: nn.Sequential, place: int) -> Tensor:
    weight = model[place].weight
    assert isinstance(weight, Tensor)
    return weight


def run(make: Callable[[nn.Sequential], Rule], steps: int) -> tuple[Rule, nn.Sequential, Ledger]:
    model = model_of()
    rule, ledger = make(model), Ledger()
    rule.observe(ledger)
    optimizer = torch.optim.Adam(rule.parameters(), lr=0.01)
    signal = Static(torch.rand(4, 6, generator=torch.Generator().manual_seed(1)), steps=4)
    for _ in range(steps):
        rule.backward(rule.forward(signal).square().mean())
        optimizer.step()
        optimizer.zero_grad()
        rule.step()
    return rule, model, ledger


def weights(model: nn.Sequential) -> list[Tensor]:
    return [parameter.detach() for parameter in model.parameters()]


def same(one: nn.Sequential, two: nn.Sequential) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(two), strict=True))


def test_the_feedback_is_the_first_weights_for_ever() -> None:
    first = [weight_of(model_of(), index).detach().clone() for index in (2, 4)]
    rule, model, ledger = run(rules.never, 5)
    for index, weight in enumerate(first, start=1):
        assert torch.equal(rule.state_dict()[f"feedback_{index}"], weight)
    assert not torch.equal(weight_of(model, 2), first[0])
    bill = ledger.summary()
    assert bill["weights_transported"] == 0
    assert bill["weights_transported_initial"] == 12 * 8 + 8 * 3


def test_it_is_bp_at_the_first_step_and_fbp_until_the_first_transport() -> None:
    _, never_once, _ = run(rules.never, 1)
    _, bp_once, _ = run(rules.bp, 1)
    assert same(never_once, bp_once)
    _, never_five, _ = run(rules.never, 5)
    _, fbp_five, _ = run(lambda model: rules.fbp(model, period=5), 5)
    _, bp_five, _ = run(rules.bp, 5)
    assert same(never_five, fbp_five)
    assert not same(never_five, bp_five)


def test_a_run_too_short_for_any_transport_is_called_never() -> None:
    rule = rules.fbp(model_of(), period=50)
    with pytest.warns(UserWarning, match=r"after step 50, but the run has 49 steps; .* `never`"):
        rule.expect(49)
    rule.expect(50)
    for make in (rules.never, rules.bp, rules.fa, rules.usf):
        rule.detach()
        rule = make(model_of())
        rule.expect(1)


def test_a_threshold_that_lets_nothing_pass_is_called_never_once() -> None:
    with pytest.warns(UserWarning, match="moved no weight at its first event, after step 2; .* `never`") as caught:
        run(lambda model: rules.fbp(model, period=2, transport=Threshold(1e6)), 4)
    assert len(caught) == 1


def test_transports_follow_a_schedule_that_is_dense_at_first() -> None:
    _, _, ledger = run(lambda model: rules.fbp(model, period=Doubling(longest=4)), 12)  # after 1, 3, 7, 11
    assert ledger.summary()["weights_transported"] == 4 * (12 * 8 + 8 * 3)


def test_doubling_from_one_to_one_is_bp() -> None:
    _, every, _ = run(lambda model: rules.fbp(model, period=Doubling(longest=1)), 5)
    _, bp, _ = run(rules.bp, 5)
    assert same(every, bp)


def test_the_events_are_counted_for_schemes_that_go_round() -> None:
    rule, model, _ = run(lambda model: rules.fbp(model, period=1, transport=Cyclic(0.25)), 1)
    first = [weight_of(model_of(), index).flatten() for index in (2, 4)]
    now = [rule.state_dict()[f"feedback_{index}"].flatten() for index in (1, 2)]
    for before, after in zip(first, now, strict=True):
        quarter = round(before.numel() / 4)
        assert torch.equal(after[quarter:], before[quarter:])
    rule, model, _ = run(lambda model: rules.fbp(model, period=1, transport=Cyclic(0.25)), 2)
    second = rule.state_dict()["feedback_1"].flatten()
    assert torch.equal(second[24:48], weight_of(model, 2).flatten()[24:48])
    assert torch.equal(second[48:], first[0][48:])
    assert rule.state_dict()["_extra_state"].tolist() == [2, 2]
