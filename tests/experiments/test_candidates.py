"""A rule that was tried: it equals a rule of the package in a limit, and a formula written out."""

from __future__ import annotations

from dataclasses import replace

import torch

import opzo_length
from _candidates import quiet_last
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

LABELS = torch.tensor([0, 1, 2, 0, 1, 0])


def images() -> nn.Static:
    generator = torch.Generator().manual_seed(1)
    return nn.Static(torch.rand(6, 1, 8, 8, dtype=torch.float64, generator=generator), 3)


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


def test_it_trains_and_is_recorded_by_its_name() -> None:
    config = RunConfig(net="4C3-P2-4C3-P2", train_size=64, epochs=1, steps=2, validation=0.1, precision="bfloat16")
    data = load_data(config)
    config = replace(config, rule=opzo_length.LAST[0])
    record = train(config, data, given=opzo_length.given(config))
    assert record.label == record.settings["rule"] == "opzo:quiet_last=true"
