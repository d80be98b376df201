"""A layer that never fires is named once, with its rate."""

from __future__ import annotations

import warnings

import pytest
import torch

from onchip import Static, nn, rules
from onchip.rule import LOOKS, Rule


def network(gain: float) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 20), nn.LIF(), nn.Linear(20, 20), nn.LIF(), nn.Linear(20, 3))
    with torch.no_grad():
        model[0].weight.fill_(0.4)  # type: ignore[union-attr]
        model[2].weight.abs_().mul_(gain)  # type: ignore[union-attr]
        model[2].bias.zero_()  # type: ignore[union-attr]
    return model


def step(rule: Rule) -> None:
    rule.backward(rule.forward(Static(torch.full((4, 8), 0.5), 4)).square().mean())


@pytest.mark.parametrize("name", ["bp", "opzo"])
def test_a_silent_layer_is_named_once(name: str) -> None:
    rule = getattr(rules, name)(network(0.001))
    with pytest.warns(UserWarning, match=rf"{name}: layer '2' is silent, with 0\.00000 spikes") as told:
        for _ in range(LOOKS + 1):
            step(rule)
    assert len(told) == 1


def test_layers_that_fire_and_streams_are_not_named() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(rules.bp(network(5.0)))
        for out in rules.ottt(network(0.001)).stream(torch.zeros(3, 2, 8)):
            assert not out.isnan().any()


def test_a_layer_that_dies_later_is_named_then() -> None:
    model = network(5.0)
    rule = rules.bp(model)
    for _ in range(LOOKS):
        step(rule)
    with torch.no_grad():
        model[2].weight.zero_()  # type: ignore[union-attr]
    with pytest.warns(UserWarning, match="layer '2' is silent"):
        step(rule)
