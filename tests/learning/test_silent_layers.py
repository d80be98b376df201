"""A layer that never fires is named once, with its rate."""

from __future__ import annotations

import warnings

import pytest
import torch

from onchip import Static, nn, rules
from onchip.learning.rule import Rule
from onchip.learning.silent_layers import CHECK_EVERY


def network(gain: float) -> tuple[nn.Sequential, nn.Linear]:
    """A network, and its second layer, whose weights are all positive and as large as the gain says."""
    torch.manual_seed(0)
    first, second = nn.Linear(8, 20), nn.Linear(20, 20, bias=False)
    with torch.no_grad():
        first.weight.fill_(0.4)
        second.weight.abs_().mul_(gain)
    return nn.Sequential(first, nn.LIF(), second, nn.LIF(), nn.Linear(20, 3)), second


def steps(rule: Rule, count: int) -> None:
    for _ in range(count):
        rule.backward(rule.forward(Static(torch.full((4, 8), 0.5), 4)).square().mean())


@pytest.mark.parametrize("name", ["bp", "opzo"])
def test_a_silent_layer_is_named_once(name: str) -> None:
    rule = getattr(rules, name)(network(0.001)[0])
    with pytest.warns(UserWarning, match=rf"{name}: layer '2' is silent, with 0\.00000 spikes") as told:
        steps(rule, CHECK_EVERY + 1)
    assert len(told) == 1


def test_layers_that_fire_and_streams_are_not_named() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        steps(rules.bp(network(5.0)[0]), 1)
        for out in rules.ottt(network(0.001)[0]).stream(torch.zeros(3, 2, 8)):
            assert not out.isnan().any()


def test_a_layer_that_dies_later_is_named_then() -> None:
    model, layer = network(5.0)
    rule = rules.bp(model)
    steps(rule, CHECK_EVERY)
    with torch.no_grad():
        layer.weight.zero_()
    with pytest.warns(UserWarning, match="layer '2' is silent"):
        steps(rule, 1)
