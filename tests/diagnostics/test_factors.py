"""The three factors of a training step: each is its formula, together they are the update, and looking is free."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from onchip import nn, rules
from onchip.diagnostics.factors import FactorRecorder
from onchip.errors import UnsupportedError
from onchip.learning.rule import Rule
from onchip.nn.signals import Static
from tests.cases import CASES, Case, agree, gradients, loss_of
from tests.stacks import ONLINE, RECURRENT


def step(rule: Rule, signal: Tensor | Static, seed: int = 0) -> None:
    torch.manual_seed(seed)
    rule.backward(loss_of(rule.forward(signal)))


@pytest.mark.parametrize("case", ONLINE + RECURRENT, ids=lambda case: case.name)
@pytest.mark.parametrize("static", [False, True], ids=["frames", "static"])
@pytest.mark.parametrize("name", ["ottt", "opzo", "dfa"])
def test_together_they_are_the_update(name: str, case: Case, static: bool) -> None:
    model, frames = case.build(), case.signal()
    signal = Static(frames[0], len(frames)) if static else frames
    rule, factors = getattr(rules, name)(model), FactorRecorder()
    step(rule, signal)
    unseen = gradients(model)
    rule.detach()
    model.zero_grad()
    rule = getattr(rules, name)(model)
    rule.observe_factors(factors)
    torch.manual_seed(0)
    step(rule, signal)
    if name != "dfa":  # whose feedback was drawn anew
        agree(gradients(model), unseen)
    assert list(factors.layers) == [stage.name for stage in reversed(rule.layers)] or name != "ottt"
    for stage in rule.layers:
        found = factors.layers[stage.name]
        update = stage.synapse.weight_grad(found.pre.flatten(0, 1), (found.local * found.error).flatten(0, 1))
        agree({stage.name: update}, {stage.name: gradients(model)[f"{stage.name}.weight"]})


def test_each_is_its_formula() -> None:
    """A trace, a surrogate and an error by hand, behind a pool that spreads the error."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.LIF(decay=0.6), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 2)
    ).double()
    frames = 3.0 * torch.rand(4, 2, 1, 6, 6, dtype=torch.float64)
    rule, factors = rules.ottt(model), FactorRecorder()
    rule.observe_factors(factors)
    out = rule.forward(frames)
    rule.backward(out.square().sum())
    found = factors.layers["0"]
    trace = torch.zeros_like(frames[0])
    membrane = torch.zeros(2, 3, 4, 4, dtype=torch.float64)
    layer, last = model[0], model[4]
    assert isinstance(layer, nn.Conv2d)
    assert isinstance(last, nn.Linear)
    for t, frame in enumerate(frames):
        trace = 0.6 * trace + frame
        potential = 0.6 * membrane + layer(frame)
        membrane = potential - (potential >= 1.0).double()
        slope = torch.sigmoid(4 * (potential - 1))
        error = (2 * out[t].detach() @ last.weight).view(2, 3, 2, 2)
        torch.testing.assert_close(found.pre[t], trace)
        torch.testing.assert_close(found.local[t], 4 * slope * (1 - slope))
        torch.testing.assert_close(found.error[t], F.interpolate(error, scale_factor=2) / 4)


def test_rules_of_another_form_are_refused() -> None:
    timed = next(case for case in CASES if case.name == "ttfs-linear")
    for rule in (rules.bp(CASES[0].build()), rules.dfa(timed.build())):
        with pytest.raises(UnsupportedError, match="has no three-factor form"):
            rule.observe_factors(FactorRecorder())
