"""`bp` against plain autograd through a loop over time that knows nothing of the engine."""

from __future__ import annotations

import pytest
import torch

from onchip import nn, rules
from onchip.nn.signals import Static
from tests.cases import Case, agree, gradients, loss_of, scaled
from tests.oracle import run_steps, run_times
from tests.stacks import STACKS, TIMED


@pytest.mark.parametrize("static", [False, True], ids=["frames", "static"])
@pytest.mark.parametrize("case", STACKS, ids=lambda case: case.name)
def test_bp_is_autograd_through_time(case: Case, static: bool) -> None:
    model, frames = case.build(), case.signal()
    signal = Static(2 * frames[0], len(frames)) if static else frames
    if isinstance(signal, Static):
        frames = signal.expand()
    expected = run_steps(model, frames)
    loss_of(expected).backward()
    formula = gradients(model)
    assert formula.keys() == dict(model.named_parameters()).keys()
    model.zero_grad()
    rule = rules.bp(model)
    output = rule.forward(signal)
    torch.testing.assert_close(output, expected.detach(), rtol=1e-12, atol=1e-12)
    rule.backward(loss_of(output))
    agree(gradients(model), formula)
    assert all(bool(gradient.any()) for gradient in formula.values()), "a silent network would agree with anything"


@pytest.mark.parametrize("case", TIMED, ids=lambda case: case.name)
def test_bp_is_autograd_through_spike_times(case: Case) -> None:
    model, signal = case.build(), case.signal()
    expected = run_times(model, signal)
    loss_of(expected).backward()
    formula = gradients(model)
    model.zero_grad()
    rule = rules.bp(model)
    output = rule.forward(signal)
    torch.testing.assert_close(output, expected.detach(), rtol=1e-12, atol=1e-12)
    rule.backward(loss_of(output))
    agree(gradients(model), formula)
    assert all(bool(gradient.any()) for gradient in formula.values())


def test_dropout_and_nesting_are_left_to_autograd() -> None:
    first = torch.nn.Sequential(nn.Linear(5, 8), nn.LIF(), nn.Dropout(0.5))
    model = scaled(nn.Sequential(nn.Flatten(), first, nn.Sequential(nn.Linear(8, 7), nn.LIF()), nn.Linear(7, 3)), 3.0)
    frames = torch.rand(4, 6, 5, 1)
    torch.manual_seed(5)
    loss_of(model(frames)).backward()
    expected = gradients(model)
    model.zero_grad()
    rule = rules.bp(model)
    torch.manual_seed(5)
    rule.backward(loss_of(rule.forward(frames)))
    agree(gradients(model), expected, 1e-5)
    assert set(expected) == {"1.0.weight", "1.0.bias", "2.0.weight", "2.0.bias", "3.weight", "3.bias"}


def test_a_layer_used_twice_gets_both_gradients() -> None:
    shared = nn.Linear(6, 6)
    model = scaled(nn.Sequential(shared, nn.LIF(), shared, nn.LIF(), nn.Linear(6, 3)), 3.0).double()
    frames = torch.rand(5, 4, 6, dtype=torch.float64)
    loss_of(run_steps(model, frames)).backward()
    expected = gradients(model)
    model.zero_grad()
    rule = rules.bp(model)
    rule.backward(loss_of(rule.forward(frames)))
    agree(gradients(model), expected)


def test_the_first_layers_input_needs_no_dense_layout() -> None:
    model = STACKS[0].build()
    frames = torch.rand(4, 5, 5, dtype=torch.float64)
    rule = rules.bp(model)
    rule.backward(loss_of(rule.forward(frames.transpose(0, 1).contiguous())))
    expected = gradients(model)
    model.zero_grad()
    rule.backward(loss_of(rule.forward(frames.transpose(0, 1))))
    agree(gradients(model), expected)
