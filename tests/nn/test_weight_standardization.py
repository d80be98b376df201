"""Standardised convolutions: what every rule reads is Ŵ, and updates reach the parameters behind it."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from onchip import Static, nn, rules
from onchip.diagnostics import alignment
from onchip.errors import RequestError, UnsupportedError
from onchip.kernels.times import fired_and_times
from onchip.nn.graph_builder import build_graph
from onchip.nn.signals import tensor_of
from tests.cases import agree, gradients, loss_of


def network() -> nn.Sequential:
    torch.manual_seed(0)
    first = [nn.WeightStandardizedConv2d(2, 4, 3, padding=1), nn.LIF(), nn.AvgPool2d(2)]
    second = [nn.WeightStandardizedConv2d(4, 5, 3, stride=2, padding=1, gain=3.0), nn.LIF(), nn.Flatten()]
    return nn.Sequential(*first, *second, nn.Linear(20, 3)).double()


def hat(layer: torch.nn.Module) -> Tensor:
    """Ŵ by its formula, channel by channel."""
    assert isinstance(layer, nn.WeightStandardizedConv2d)
    rows = [
        g.flatten() * (w - w.mean()) / torch.sqrt((w - w.mean()).square().sum() + 1e-4)
        for w, g in zip(layer.weight, layer.gain, strict=True)
    ]
    return torch.stack(rows)


def by_hand(model: nn.Sequential, h: Tensor) -> Tensor:
    for place, stride in ((0, 1), (3, 2)):
        drive = F.conv2d(h.flatten(0, 1), hat(model[place]), model[place].bias, stride=stride, padding=1)  # type: ignore[arg-type]
        h = model[place + 1](drive.unflatten(0, h.shape[:2]))
        h = F.avg_pool2d(h.flatten(0, 1), 2).unflatten(0, h.shape[:2]) if place == 0 else h
    return F.linear(h.flatten(2), model[6].weight, model[6].bias)  # type: ignore[arg-type]


def frames() -> Tensor:
    return torch.rand(4, 3, 2, 8, 8, dtype=torch.float64)


def test_bp_is_autograd_through_the_standardisation() -> None:
    model, signal = network(), frames()
    expected = by_hand(model, signal)
    loss_of(expected).backward()
    formula = gradients(model)
    assert all(bool(gradient.any()) for gradient in formula.values()), "a silent network would agree with anything"
    model.zero_grad()
    torch.testing.assert_close(model(signal), expected)
    with torch.no_grad():
        torch.testing.assert_close(model(signal), expected)
    rule = rules.bp(model)
    rule.backward(loss_of(rule.forward(signal)))
    agree(gradients(model), formula, 1e-8)
    assert all(layer.cosine == pytest.approx(1.0) for layer in alignment(model, signal, loss_of).values())


def test_bp_is_autograd_through_the_standardisation_before_spike_times() -> None:
    torch.manual_seed(0)
    first = nn.WeightStandardizedConv2d(2, 4, 3, padding=1, bias=False, gain=1.4)
    second = nn.WeightStandardizedConv2d(4, 5, 3, stride=2, padding=1, bias=False, gain=1.5)
    last = nn.Linear(80, 3, bias=False)
    layers = [first, nn.TTFS(), second, nn.TTFS(), nn.Flatten(), last, nn.TTFSReadout()]
    model, times = nn.Sequential(*layers).double(), torch.rand(3, 2, 8, 8, dtype=torch.float64)
    signal: Tensor = times
    for layer in (first, second):
        both = fired_and_times(signal)
        drive = F.conv2d(both.flatten(0, 1), hat(layer), stride=layer.stride, padding=1)
        signal = tensor_of(nn.TTFS()(drive.unflatten(0, both.shape[:2])))
    expected = tensor_of(nn.TTFSReadout()(F.linear(fired_and_times(signal.flatten(1)), last.weight)))
    loss_of(expected).backward()
    formula = gradients(model)
    assert all(bool(gradient.any()) for gradient in formula.values())
    model.zero_grad()
    rule = rules.bp(model)
    output = rule.forward(times)
    torch.testing.assert_close(output, expected)
    rule.backward(loss_of(output))
    agree(gradients(model), formula, 1e-8)


def test_what_synapses_have_is_standardised() -> None:
    for stage, gain in zip(build_graph(network()).layers[:2], (4.0, 3.0), strict=True):
        rows = stage.weight.detach().flatten(1)
        torch.testing.assert_close(rows.mean(1), torch.zeros(len(rows), dtype=torch.float64), atol=1e-12, rtol=0)
        torch.testing.assert_close(
            rows.norm(dim=1), torch.full((len(rows),), gain, dtype=torch.float64), rtol=1e-3, atol=0
        )


def test_copies_are_of_the_standardised_weights() -> None:
    model = network()
    copied = next(iter(rules.fbp(model, period=10).state_dict().values()))
    assert torch.equal(copied, build_graph(model).layers[1].weight.detach())


@pytest.mark.parametrize("name", ["dfa", "opzo", "anchored_dkp", "ottt", "usf", "weight_mirror"])
def test_rules_of_every_kind_train_it(name: str) -> None:
    model = network().float()
    rule = getattr(rules, name)(model)
    optimizer = torch.optim.SGD(rule.parameters(), lr=0.1)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    rule.backward(loss_of(rule.forward(Static(torch.rand(3, 2, 8, 8), 4))))
    optimizer.step()
    rule.step()
    assert all(not torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_refusals() -> None:
    for gain in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(RequestError, match="gain="):
            nn.WeightStandardizedConv2d(1, 1, 3, gain=gain)
    with pytest.raises(UnsupportedError, match=r"kolen_pollack .*WeightStandardizedConv2d '0'"):
        rules.kolen_pollack(network())
