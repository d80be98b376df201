"""Intermediate global learning: a hidden layer's read-out teaches the layers below, by formulas written out."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from onchip import nn, rules
from onchip.errors import RequestError
from onchip.learning.rule import Rule
from tests.cases import CASES, Case, gradients

STEPS, BATCH, CLASSES = 6, 32, 3


def network() -> nn.Sequential:
    """Without neurons, so that updates are plain products; three hidden layers."""
    torch.manual_seed(0)
    widths = (5, 8, 7, 6, CLASSES)
    return nn.Sequential(*(nn.Linear(n, m) for n, m in itertools.pairwise(widths))).double()


def frames(seed: int) -> Tensor:
    return torch.rand(STEPS, BATCH, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def matrices(rule: Rule) -> dict[str, Tensor]:
    return {name: value for name, value in rule.state_dict().items() if not name.endswith("extra_state")}


@pytest.mark.parametrize("local", [False, True])
def test_errors_of_output_and_readouts_add_up(local: bool) -> None:
    model, x = network(), frames(0)
    rule = rules.opzo(model, intermediate=2, local=local)
    rule.forward(x)
    outputs = rule.outputs
    assert len(outputs) == (4 if local else 2)
    slopes = [torch.randn_like(out) for out in outputs]
    rule.backward(torch.stack([(out * slope).sum() for out, slope in zip(outputs, slopes, strict=True)]).sum())
    kept = matrices(rule)
    at = 2 if local else 1  # place of the second layer's read-out among the outputs
    for layer in (1, 2, 3):
        error = slopes[0] @ kept[f"main.estimate_{layer}"].t()
        if local or layer == 2:
            own = slopes[layer if local else at]
            error = error + own @ kept[f"readouts.readout_{layer}"].t()
        if layer == 1:
            error = error + slopes[at] @ kept["lower.estimate_1"].t()
        bias = gradients(model)[f"{layer - 1}.bias"]
        torch.testing.assert_close(bias, error.sum((0, 1)))
    assert "lower.estimate_2" not in kept


def test_the_lower_estimate_approaches_the_derivative_of_the_intermediate_output() -> None:
    model = network()
    rule = rules.opzo(model, intermediate=2)
    for seed in range(60):
        rule.forward(frames(seed))
    kept = matrices(rule)
    second = model[1].weight
    assert isinstance(second, Tensor)
    truth = second.detach().t() @ kept["readouts.readout_2"]  # (8, classes)
    assert F.cosine_similarity(kept["lower.estimate_1"].flatten(), truth.flatten(), 0) > 0.95


@pytest.mark.parametrize("case", CASES[:2], ids=lambda case: case.name)
def test_it_trains_spiking_networks_and_its_state_is_kept(case: Case) -> None:
    model, signal = case.build(), case.signal()
    rule = rules.opzo(model, intermediate=2)
    outcomes = []
    for _ in range(2):
        torch.manual_seed(1)
        rule.forward(signal)
        model.zero_grad()
        rule.backward(torch.stack([out.square().mean() for out in rule.outputs]).sum())
        rule.step()
        state = {name: value.clone() for name, value in rule.state_dict().items()}
        rule.detach()
        rule = rules.opzo(model, intermediate=2)
        rule.load_state_dict(state)
        outcomes.append(gradients(model))
    assert all(bool(gradient.isfinite().all()) for gradient in outcomes[1].values())
    assert all(torch.equal(value, state[name]) for name, value in rule.state_dict().items())


def test_a_layer_with_none_below_or_that_is_not_there_is_refused() -> None:
    for at in (1, 4, 0):
        with pytest.raises(RequestError, match=f"got intermediate={at} for a network of 3 hidden layers"):
            rules.opzo(network(), intermediate=at)
