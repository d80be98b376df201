"""`dfa` against its formula; it runs no spatial backward pass."""

from __future__ import annotations

import math
from dataclasses import asdict

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.cost.ledger import Ledger
from onchip.errors import RequestError, UnsupportedError
from onchip.learning.rule import Rule
from onchip.learning.temporal.through_time import ThroughTime
from tests.cases import CASES, Case, agree, gradients, loss_of, scaled
from tests.oracle import run_steps
from tests.stacks import STACKS, TIMED


def feedback_of(rule: Rule) -> list[Tensor]:
    """F_l (n_l, classes) of each stage but the first."""
    state = rule.state_dict()
    return [state[name] for name in sorted(state)]


def projected(feedback: Tensor, error: Tensor, like: Tensor) -> Tensor:
    """F e for one step, (B, features...); maps have their rows in (height, width, channel) order."""
    flat = torch.einsum("nc,bc->bn", feedback, error)
    if like.dim() == 2:
        return flat
    batch, channels, height, width = like.shape
    return flat.reshape(batch, height, width, channels).permute(0, 3, 1, 2)


def formula_of(model: nn.Sequential, frames: Tensor, feedback: list[Tensor], *, online: bool) -> dict[str, Tensor]:
    taps: list[list[Tensor]] = []
    output = run_steps(model, frames, online=online, recurs=False, taps=taps)
    loss = loss_of(output)
    (errors,) = torch.autograd.grad(loss, output, retain_graph=True)
    if isinstance(model[-1], nn.LI) and not online:  # the errors at the drive of the read-out
        (kept,) = model[-1].decays() or ()
        for t in range(len(errors) - 2, -1, -1):
            errors[t] += kept * errors[t + 1]
    for error, arrived in zip(errors, taps, strict=True):
        for weights, activity in zip(feedback, arrived, strict=True):
            loss = loss + (activity * projected(weights, error, activity)).sum()
    loss.backward()
    return gradients(model)


@pytest.mark.parametrize("online", [True, False], ids=["online", "through-time"])
@pytest.mark.parametrize("case", STACKS, ids=lambda case: case.name)
def test_dfa_is_its_formula(case: Case, online: bool) -> None:
    model, frames = case.build(), case.signal()
    rule = rules.dfa(model) if online else rules.dfa(model, temporal=ThroughTime())
    rule.backward(loss_of(rule.forward(frames)))
    ours = gradients(model)
    model.zero_grad()
    agree(ours, formula_of(model, frames, feedback_of(rule), online=online))


@pytest.mark.parametrize("case", TIMED, ids=lambda case: case.name)
def test_dfa_is_its_formula_for_spike_times(case: Case) -> None:
    """The last hidden layer's error is F e, in place of what `bp` sends down."""
    model, signal = case.build(), case.signal()
    rule = rules.dfa(model)
    rule.backward(loss_of(rule.forward(signal)))
    ours = gradients(model)
    model.zero_grad()
    readout = model[-2]
    assert isinstance(readout, nn.Linear)
    hidden = nn.Sequential(*list(model)[:-2])
    times = arrived = signal
    for module in hidden:
        planes = torch.stack([torch.isfinite(times).to(times.dtype), torch.where(torch.isfinite(times), times, 0.0)])
        if isinstance(module, nn.Linear | nn.Conv2d):
            before, layer = planes, module
        elif isinstance(module, nn.TTFS):
            times = module(torch.stack([layer(before[0]), layer(before[1])]))
        else:
            times = module(times)
        arrived = arrived if isinstance(module, nn.Flatten) else times
    logits = 2 * readout(torch.isfinite(times).double()) - readout(torch.where(torch.isfinite(times), times, 0.0))
    error = torch.autograd.grad(loss_of(logits), logits, retain_graph=True)[0]
    arriving = projected(feedback_of(rule)[-1], error, arrived).reshape(times.shape)
    name = [key for key in ours if key.endswith("weight")][-2]
    (expected,) = torch.autograd.grad(times, layer.weight, arriving)
    agree({name: ours[name]}, {name: expected})


def test_with_the_readouts_weights_it_is_ottt_in_the_last_hidden_layer() -> None:
    readout = nn.Linear(7, 3)
    hidden = [nn.Linear(6, 8), nn.LIF(), nn.Linear(8, 7), nn.LIF(learn_decay=True)]
    model = scaled(nn.Sequential(*hidden, readout), 3.0).double()
    frames = torch.rand(5, 4, 6, dtype=torch.float64)
    rule = rules.ottt(model)
    rule.backward(loss_of(rule.forward(frames)))
    expected = gradients(model)
    model.zero_grad()
    rule.detach()
    rule = rules.dfa(model)
    rule.load_state_dict(
        {"direct_1": torch.randn(8, 3, dtype=torch.float64), "direct_2": readout.weight.detach().t().clone()}
    )
    rule.backward(loss_of(rule.forward(frames)))
    ours = gradients(model)
    last = [name for name in ours if not name.startswith("0")]
    agree({name: ours[name] for name in last}, {name: expected[name] for name in last})
    assert not torch.allclose(ours["0.weight"], expected["0.weight"])


def test_feedback_is_uniform_within_one_over_the_root_of_the_units() -> None:
    model = scaled(nn.Sequential(nn.Linear(4, 400), nn.LIF(), nn.Linear(400, 50)), 3.0)
    rule = rules.dfa(model)
    assert not rule.state_dict(), "nothing is drawn before the first error arrives"
    rule.backward(loss_of(rule.forward(torch.rand(2, 3, 4))))
    (feedback,) = feedback_of(rule)
    assert feedback.shape == (400, 50)
    assert 0.999 / math.sqrt(400) < feedback.abs().max().item() <= 1 / math.sqrt(400)
    assert feedback.std().item() == pytest.approx(1 / math.sqrt(3 * 400), rel=0.02)
    before = feedback.clone()
    rule.step()
    rule.backward(loss_of(rule.forward(torch.rand(2, 3, 4))))
    assert torch.equal(feedback_of(rule)[0], before)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_there_is_no_spatial_backward_pass(case: Case) -> None:
    model, signal = case.build(), case.signal()
    rule, ledger = rules.dfa(model), Ledger()
    rule.observe(ledger)
    torch.manual_seed(5)  # of neurons that draw
    rule.backward(loss_of(rule.forward(signal)))
    clean = gradients(model)
    bill = ledger.summary()
    assert bill["products_backward"] == 0
    assert bill["products_direct"] == bill["products_error"] > 0
    assert bill["weights_transported"] == bill["weights_transported_initial"] == 0
    model.zero_grad()
    torch.manual_seed(5)
    loss = loss_of(rule.forward(signal))
    with torch.no_grad():
        for module in model:
            if isinstance(module, nn.Linear | nn.Conv2d):
                module.weight.data.fill_(torch.nan)  # `data`: behind the back of the check for such changes
    rule.backward(loss)
    for name, gradient in gradients(model).items():
        assert torch.equal(gradient, clean[name]), name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_projections_are_booked(case: Case) -> None:
    model, signal = case.build(), case.signal()
    rule, ledger = rules.dfa(model), Ledger()
    rule.observe(ledger)
    output = rule.forward(signal)
    rule.backward(loss_of(output))
    rows = output.numel() // output.shape[-1]
    assert ledger.summary()["products_direct"] == rows * sum(weights.numel() for weights in feedback_of(rule))


def test_it_trains_beneath_a_frozen_readout() -> None:
    model = scaled(nn.Sequential(nn.Linear(4, 8), nn.LIF(), nn.Linear(8, 3)), 3.0)
    model[2].requires_grad_(False)
    rule = rules.dfa(model)
    rule.backward(loss_of(rule.forward(torch.rand(3, 2, 4))))
    assert set(gradients(model)) == {"0.weight", "0.bias"}


def test_layers_that_are_frozen_cost_no_projection() -> None:
    model = scaled(nn.Sequential(nn.Linear(4, 8), nn.LIF(), nn.Linear(8, 3)), 3.0)
    model[0].requires_grad_(False)
    rule, ledger = rules.dfa(model), Ledger()
    rule.observe(ledger)
    rule.backward(loss_of(rule.forward(torch.rand(3, 2, 4))))
    assert ledger.summary()["products_error"] == 0


def test_an_output_that_is_no_row_of_classes_is_refused() -> None:
    rule = rules.dfa(scaled(nn.Sequential(nn.Conv2d(1, 2, 3), nn.LIF(), nn.Conv2d(2, 3, 3)), 3.0))
    with pytest.raises(UnsupportedError, match=r"dfa sends errors .* shape \(2, 2, 3, 2, 2\)\. End .* nn\.Flatten"):
        rule.forward(torch.rand(2, 2, 1, 6, 6))


def test_feedback_of_another_network_is_refused_by_name() -> None:
    rule = rules.dfa(scaled(nn.Sequential(nn.Linear(4, 8), nn.LIF(), nn.Linear(8, 3)), 3.0))
    rule.load_state_dict({"direct_1": torch.randn(9, 3)})
    loss = loss_of(rule.forward(torch.rand(3, 2, 4)))
    with pytest.raises(RequestError, match=r"dfa has feedback weights \(9, 3\) for layer '2', which needs \(8, 3\)"):
        rule.backward(loss)


def test_it_claims_all_but_what_the_loss_and_graded_errors_forbid() -> None:
    claims = asdict(rules.dfa(CASES[0].build()).claims)
    assert {name for name, claimed in claims.items() if not claimed} == {"update_unlocked", "ternary_errors"}
