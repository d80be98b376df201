"""The ideal device is plain gradient descent."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from onchip import devices, rules
from onchip.devices.ideal import IdealCell
from onchip.errors import UnsupportedError
from onchip.learning.temporal.coincidence import Coincidences
from onchip.nn.signals import Static
from tests.cases import CASES, Case, learn


def _paired(case: Case) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    model = case.build().double()
    return model, copy.deepcopy(model)


@pytest.mark.parametrize("static", [False, True], ids=["frames", "static"])
@pytest.mark.parametrize("rule", ["bp", "ottt", "ssnn_bp", "own_noise_mirror", "dfa", "fbp", "eprop", "s_tllr", "drtp"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_equals_sgd(case: Case, rule: str, static: bool) -> None:
    models, frames = _paired(case), case.signal().double()
    if static and case.name.startswith(("ttfs", "stream")):
        pytest.skip("a static image is no signal of these neurons")
    signal = Static(frames[0], len(frames)) if static else frames
    try:
        made = [getattr(rules, rule)(model) for model in models]
    except UnsupportedError:
        pytest.skip(f"{rule} trains no such neurons")
    for one, other in zip(made[0].parameters(), made[1].parameters(), strict=True):
        assert torch.equal(one, other)
    made[1].load_state_dict(made[0].state_dict())
    optimizers = [devices.ideal(made[0], lr=0.05), torch.optim.SGD(made[1].parameters(), lr=0.05)]
    for step in range(3):
        for one, optimizer in zip(made, optimizers, strict=True):
            torch.manual_seed(step)
            one.forward(signal)
            learn(one)
            optimizer.step()
            optimizer.zero_grad()
            one.step()
    for got, expected in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def test_no_weight_is_outside_of_what_an_ideal_cell_can_store() -> None:
    weight = torch.tensor([-1e9, 0.0, 1e9])
    before = weight.clone()
    assert IdealCell().program(weight, {}) == 0
    assert torch.equal(weight, before)


def test_updates_of_a_stream_add_up() -> None:
    case = next(case for case in CASES if case.name == "lif-linear")
    models, signal = _paired(case), case.signal().double()
    made = [rules.ottt(model) for model in models]
    optimizers = [devices.ideal(made[0], lr=0.05), torch.optim.SGD(made[1].parameters(), lr=0.05)]
    for rule, optimizer in zip(made, optimizers, strict=True):
        for out in rule.stream(signal):
            rule.backward(out.square().mean())
        optimizer.step()
    for got, expected in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("temporal", [Coincidences(), None])
def test_biases_are_cells_whose_input_is_always_on(temporal: Coincidences | None) -> None:
    """A bias takes what a weight takes whose input spikes at every step, under either form of the update."""
    torch.manual_seed(0)
    case = next(case for case in CASES if case.name == "stream-linear")
    model, signal = case.build(), case.signal()
    signal[..., 0] = 1.0
    rule = rules.ssnn_bp(model) if temporal is None else rules.ssnn_bp(model, temporal=temporal)
    layer = rule.layers[0]
    assert layer.bias is not None
    before = layer.parameter[:, 0].detach().clone(), layer.bias.detach().clone()
    device = devices.ideal(rule, lr=0.1)
    rule.backward(rule.forward(signal).softmax(-1)[..., 0].mean())
    device.step()
    change = layer.bias.detach() - before[1]
    assert change.count_nonzero()
    torch.testing.assert_close(layer.parameter[:, 0].detach() - before[0], change)
