"""The oracle for direct feedback: per sample it is `ottt`; its mean is that of derivatives that autograd computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import opzo_oracle
from _oracle import OracleFeedback, oracle
from onchip import nn, rules
from onchip.data import Dataset
from onchip.learning.observers import Observer
from onchip.learning.rule import Rule
from onchip.losses import StepLoss
from onchip.models.layout import Layout
from onchip.runs.config import RunConfig
from onchip.training.builder import load_data
from onchip.training.loop import train
from tests.cases import agree, gradients

CLASSES, BATCH = 4, 6
NETS = ("4C3-4C3-P2-5C3-P2-F8", "6C3-F9-F7")


class Arrived(Observer):
    """The error at each layer's activity."""

    def __init__(self) -> None:
        self.errors: dict[str, Tensor] = {}

    def arrived(self, layer: str, error: Tensor) -> None:
        self.errors[layer] = error.clone()


def network(text: str) -> nn.Sequential:
    torch.manual_seed(0)
    return Layout(text)((1, 8, 8), CLASSES).double()


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(BATCH, 1, 8, 8, dtype=torch.float64, generator=generator)
    return images, torch.tensor([0, 1, 2, 0, 1, 0])


def learn(rule: Rule, steps: int) -> dict[str, Tensor]:
    """The gradients of one batch."""
    images, labels = batch()
    rule.backward(StepLoss()(rule.forward(nn.Static(images, steps)), labels))
    found = gradients(rule.network)
    rule.network.zero_grad()
    rule.step()
    return found


@pytest.mark.parametrize("text", NETS)
def test_with_the_derivative_of_each_sample_it_is_ottt(text: str) -> None:
    model = network(text)
    exact = rules.ottt(model)
    expected = learn(exact, 3)
    exact.detach()
    rule = oracle(model, choice="sample")
    for _ in range(2):
        agree(learn(rule, 3), expected)


def derived(model: nn.Sequential, images: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Output of one time step, the input (B, n) of each layer but the first, and ∂o/∂h (B, classes, n), by autograd."""
    rows: list[list[Tensor]] = []
    for k in range(CLASSES):  # neurons allow one backward pass per forward pass
        activity, taps = images, []
        for number, module in enumerate(model):
            if number and isinstance(module, nn.Conv2d | nn.Linear):
                taps.append(activity)
            activity = module(activity.unsqueeze(0))[0] if isinstance(module, nn.LIF) else module(activity)
        rows.append([derivative.flatten(1) for derivative in torch.autograd.grad(activity[:, k].sum(), taps)])
    jacobians = [torch.stack(of_tap, 1) for of_tap in zip(*rows, strict=True)]
    return activity.detach(), [tap.detach().flatten(1) for tap in taps], jacobians


def expected_errors(choice: str, error: Tensor, labels: Tensor, activity: Tensor, jacobian: Tensor) -> Tensor:
    """M e for each sample, (B, n), with means that are written out."""
    sent = torch.zeros_like(activity)
    for sample, unit in torch.cartesian_prod(*map(torch.arange, activity.shape)).tolist():
        alike = torch.ones(BATCH, dtype=torch.bool)
        if choice == "own":
            alike = (activity[:, unit] > 0) == (activity[sample, unit] > 0)
        elif choice == "label":
            alike = labels == labels[sample]
        sent[sample, unit] = error[sample] @ jacobian[alike, :, unit].mean(0)
    return sent


@pytest.mark.parametrize("text", NETS)
@pytest.mark.parametrize("choice", ["one", "own", "label"])
def test_matrices_are_the_means_of_the_derivatives_that_autograd_computes(text: str, choice: Any) -> None:
    model = network(text)
    images, labels = batch()
    output, activities, jacobians = derived(model, images)
    output.requires_grad_()
    StepLoss()(output.unsqueeze(0), labels).backward()
    assert output.grad is not None
    rule, arrived = oracle(model, choice=choice), Arrived()
    rule.observe(arrived)
    learn(rule, 1)
    *hidden, _ = (arrived.errors[layer.name] for layer in rule.layers)
    for found, activity, jacobian in zip(hidden, activities, jacobians, strict=True):
        expected = expected_errors(choice, output.grad, labels, activity, jacobian)
        torch.testing.assert_close(found[0].flatten(1), expected, rtol=1e-9, atol=1e-12)


def test_later_derivatives_enter_with_the_momentum() -> None:
    model = network(NETS[1])
    images, _ = batch()
    rule = oracle(model, every=2, momentum=0.5)
    means = []
    for _ in range(3):
        means.append(derived(model, images)[2][0].mean(0))
        learn(rule, 1)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.1)
    feedback = rule.feedback
    assert isinstance(feedback, OracleFeedback)
    found = feedback.matrices(1)[0].flatten(1)  # after the first and the third batch
    torch.testing.assert_close(found, (0.5 * means[0] + means[2]) / 1.5)


def test_matrices_are_constant_after_the_last_step_that_is_asked_for() -> None:
    model = network(NETS[1])
    rule = oracle(model, every=1, until=2)
    feedback = rule.feedback
    assert isinstance(feedback, OracleFeedback)
    found = []
    for _ in range(4):
        learn(rule, 1)
        found.append(feedback.matrices(1).clone())
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.1)
    assert not torch.equal(found[0], found[1])
    assert torch.equal(found[1], found[2])
    assert torch.equal(found[2], found[3])


def test_the_noise_is_that_of_noisy_bp() -> None:
    model = network(NETS[0])
    make: list[Callable[[nn.Sequential], Rule]] = [rules.noisy_bp, lambda net: oracle(net, scale=0.2)]
    outputs = []
    for attach in make:
        rule = attach(model)
        torch.manual_seed(0)
        outputs.append(rule.forward(nn.Static(batch()[0], 3)).detach())
        rule.detach()
    assert torch.equal(*outputs)


def digits() -> tuple[RunConfig, Dataset]:
    config = RunConfig(net="4C3-P2-4C3-P2", train_size=64, epochs=1, steps=2, validation=0.0, precision="bfloat16")
    return config, load_data(config)


@pytest.mark.parametrize("rule", opzo_oracle.ORACLES)
def test_every_oracle_trains_and_is_recorded_by_its_name(rule: str) -> None:
    config, data = digits()
    config = replace(config, rule=rule)
    record = train(config, data, given=opzo_oracle.given(config))
    assert (record.label, record.settings["rule"], record.rule) == (rule, rule, "oracle")
