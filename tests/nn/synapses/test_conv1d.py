"""Networks of one-dimensional convolutions: under every rule that trains LIF neurons, whole and step by step.

The contract suites of rules, ledger and audit also run over the cases `lif-conv1d` and `stream-conv1d`.
"""

from __future__ import annotations

import pytest
import torch

from onchip import Static, nn, rules
from onchip.errors import UnsupportedError
from onchip.nn.signals import Signal
from tests.cases import agree, gradients, learn, loss_of, scaled

SIGNALS: dict[str, Signal] = {
    "frames": torch.rand(5, 3, 3, 24, dtype=torch.float64),
    "static": Static(torch.rand(3, 3, 24, dtype=torch.float64), 5),
}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    first = [nn.Conv1d(3, 8, 5, stride=2), nn.LIF(), nn.AvgPool1d(2)]
    second = [nn.Conv1d(8, 6, 3, padding="same", dilation=2, groups=2), nn.LIF(), nn.MaxPool1d(2)]
    return scaled(nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(12, 4)), 3.0).double()


def trains_lif(name: str) -> bool:
    try:
        getattr(rules, name)(network())
    except UnsupportedError:
        return False
    return True


NOISY = {"anchored_dkp", "noisy_bp", "opzo", "zeroth_order"}
"""Rules that draw noise, in another order step by step than for a whole sequence."""
RULES = [name for name in rules.__all__ if trains_lif(name)]


def squares(output: torch.Tensor) -> torch.Tensor:
    return output.square().sum()


def test_most_rules_are_here() -> None:
    assert {"bp", "ottt", "fbp", "dfa", "opzo", "kolen_pollack"} <= set(RULES)


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=SIGNALS)
def test_bp_is_plain_autograd(signal: Signal) -> None:
    model = network()
    loss_of(model(signal)).backward()
    expected = gradients(model)
    assert len(expected) == 6
    assert all(bool(gradient.any()) for gradient in expected.values()), "a silent network would agree with anything"
    model.zero_grad()
    rule = rules.bp(model)
    rule.backward(loss_of(rule.forward(signal)))
    agree(gradients(model), expected)


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=SIGNALS)
@pytest.mark.parametrize("name", RULES)
def test_every_parameter_gets_a_finite_gradient(name: str, signal: Signal) -> None:
    model = network()
    rule = getattr(rules, name)(model)
    output = rule.forward(signal)
    assert output.shape == (5, 3, 4)
    learn(rule, squares)
    found = gradients(model)
    assert {name: gradient.shape for name, gradient in found.items()} == {
        name: parameter.shape for name, parameter in model.named_parameters() if name in found
    }
    assert all(bool(gradient.isfinite().all()) for gradient in found.values())
    assert name == "never" or len(found) == 6


@pytest.mark.parametrize("name", RULES)
def test_a_stream_learns_what_the_whole_sequence_does(name: str) -> None:
    def learnt(stream: bool) -> dict[str, torch.Tensor]:
        model = network()
        rule = getattr(rules, name)(model)
        frames = SIGNALS["frames"]
        assert isinstance(frames, torch.Tensor)
        torch.manual_seed(1)
        if stream:
            for _ in rule.stream(frames):
                learn(rule, squares, share=1 / len(frames))
        else:
            rule.forward(frames)
            learn(rule, squares)
        return gradients(model)

    try:
        streamed = learnt(True)
    except UnsupportedError:
        assert name != "ottt"
        return
    if name not in NOISY:
        agree(streamed, learnt(False), 1e-9)
