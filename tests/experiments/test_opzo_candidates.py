"""Rules that were tried: each equals a rule of the package in a limit, or a formula written out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import opzo_candidates
from _candidates import matched_dkp, now_and_then, quiet_last
from onchip import nn, rules
from onchip.learning import Rule
from onchip.learning.centering import LeaveOneOut
from onchip.learning.noise import Rademacher
from onchip.losses import StepLoss
from onchip.models.layout import Layout
from onchip.runs.config import RunConfig
from onchip.training.builder import load_data
from onchip.training.loop import train
from tests.cases import agree
from tests.experiments.test_opzo_oracle import Arrived

Attach = Callable[[nn.Sequential], Rule]
LABELS = torch.tensor([0, 1, 2, 0, 1, 0])


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return Layout("4C3-P2-5C3-P2-F8")((1, 8, 8), 4).double()


def images() -> nn.Static:
    generator = torch.Generator().manual_seed(1)
    return nn.Static(torch.rand(6, 1, 8, 8, dtype=torch.float64, generator=generator), 3)


def learned(attach: Attach, batches: int) -> dict[str, Tensor]:
    """All gradients of the last of so many batches."""
    torch.manual_seed(2)
    model = network()
    rule = attach(model)
    for _ in range(batches):
        for parameter in rule.parameters():
            parameter.grad = None
        rule.forward(images())
        rule.backward(sum((StepLoss()(output, LABELS) for output in rule.outputs), torch.zeros(())))
        rule.step()
    named = {**dict(model.named_parameters()), **dict(rule.feedback.named_parameters())}
    return {name: parameter.grad for name, parameter in named.items() if parameter.grad is not None}


def test_noise_in_every_step_is_that_of_anchored_dkp() -> None:
    agree(learned(lambda net: now_and_then(net, every=1), 3), learned(rules.anchored_dkp, 3))


def test_noise_in_one_step_of_two_leaves_the_second_step_alone() -> None:
    quiet = learned(lambda net: rules.anchored_dkp(net, quiet_after=1), 2)
    agree(learned(lambda net: now_and_then(net, every=2), 2), quiet)


def test_matched_matrices_send_errors_of_one_norm() -> None:
    errors: list[dict[str, Tensor]] = []
    norms: dict[str, float] = {}
    for attach in (rules.dkp, matched_dkp):
        torch.manual_seed(3)
        rule, arrived = attach(network()), Arrived()
        rule.observe(arrived)
        for _ in range(2):  # matrices are drawn in the first pass, the last one last
            rule.backward(StepLoss()(rule.forward(images()), LABELS))
        errors.append(arrived.errors)
        norms = {name: float(value.norm()) for name, value in rule.state_dict().items()}
    for number in (1, 2, 3):
        name = rule.layers[number - 1].name
        factor = norms["feedback_3"] / norms[f"feedback_{number}"]
        torch.testing.assert_close(errors[1][name], factor * errors[0][name])


def test_without_noise_in_the_only_hidden_layer_it_is_dkp_from_a_matrix_of_zeros() -> None:
    states = []
    for attach in (quiet_last, rules.dkp):
        torch.manual_seed(0)
        model = Layout("F8")((1, 8, 8), 4).double()
        rule = attach(model)
        learn(rule)  # the matrix is there, and can be replaced
        (matrix,) = rule.feedback.parameters()
        with torch.no_grad():
            matrix.zero_()
        optimizer = torch.optim.SGD(rule.parameters(), lr=0.05)
        for _ in range(3):
            optimizer.zero_grad()
            learn(rule)
            optimizer.step()
        states.append({"matrix": matrix.detach(), **model.state_dict()})
    agree(states[0], states[1])


def test_the_last_matrix_has_the_update_of_the_readout_and_the_others_are_estimates() -> None:
    """Noise in the first hidden layer alone, its estimate and the learned matrix, by their formulas."""
    model = Layout("F8-F7")((1, 8, 8), 4).double()
    rule = quiet_last(model)
    torch.manual_seed(2)
    output = rule.forward(images()).detach()
    rule.backward(StepLoss()(rule.outputs[0], LABELS))
    weight = rule.layers[-1].parameter
    learned = next(iter(rule.feedback.parameters()))
    assert learned.grad is not None
    assert weight.grad is not None
    torch.testing.assert_close(learned.grad, weight.grad.t())
    estimate = next(value for name, value in rule.state_dict().items() if name.endswith("estimate_1"))
    layers = list(model)
    rule.detach()
    torch.manual_seed(2)
    steps, batch = output.shape[:2]
    noise = Rademacher()(torch.empty(steps, batch, 8, dtype=torch.float64))
    split = next(number for number, layer in enumerate(layers) if layer is rule.layers[1].module)
    activity = nn.Sequential(*layers[:split])(images().expand())
    expected = nn.Sequential(*layers[split:])(activity + 0.2 * noise).detach()
    torch.testing.assert_close(output, expected)
    centered = LeaveOneOut().center(expected, None)
    torch.testing.assert_close(estimate, torch.einsum("tbn,tbk->nk", noise, centered) / (0.2 * steps * batch))


def learn(rule: Rule) -> None:
    """One batch."""
    rule.forward(images())
    rule.backward(StepLoss()(rule.outputs[0], LABELS))
    rule.step()


@pytest.mark.parametrize("rule", opzo_candidates.OWN)
def test_every_candidate_trains_and_is_recorded_by_its_name(rule: str) -> None:
    config = RunConfig(net="4C3-P2-4C3-P2", train_size=64, epochs=1, steps=2, validation=0.1, precision="bfloat16")
    data = load_data(config)
    config = replace(config, rule=rule)
    record = train(config, replace(data, test=data.validation), given=opzo_candidates.given(config))
    assert (record.label, record.settings["rule"]) == (rule, rule)
    assert record.test_size == record.validation_size
