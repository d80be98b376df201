"""Kinds of signal: what each accepts, and a new kind that nothing in the package names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.cost.ledger import Ledger
from onchip.diagnostics import activity
from onchip.encoding import Frames
from onchip.errors import RequestError
from onchip.nn import neurons
from onchip.nn.signals import SPIKE_TIMES, SPIKE_TRAINS, TIME_STEPS, SignalKind, Static, mapped, per_sample
from tests.cases import loss_of

KINDS = (TIME_STEPS, SPIKE_TRAINS, SPIKE_TIMES)


class GradedSpikes(SignalKind):
    """Whole numbers at each time step, as chips with graded spikes send them."""

    name = "graded spikes"
    over_time = rates = True
    weightless = (nn.Flatten,)
    encoder = "constant"
    remedy = "whole numbers (T, B, features...)"

    def check_values(self, values: Tensor) -> None:
        if bool((values != values.round()).any()):
            raise RequestError("got a graded spike that is no whole number; expected 0, 1, 2, ... Round it")

    def random(self, shape: torch.Size, generator: torch.Generator) -> Tensor:
        return torch.randint(4, shape, generator=generator).float()


GRADED = GradedSpikes()


class GradedLIF(nn.LIF):
    signal = GRADED


class GradedReadout(nn.Readout):
    signal = GRADED


@pytest.fixture
def graded() -> Iterator[nn.Sequential]:
    neurons.READOUTS.append(GradedReadout)
    yield nn.Sequential(nn.Linear(6, 8), GradedLIF(threshold=0.5), nn.Flatten(), nn.Linear(8, 3))
    neurons.READOUTS.remove(GradedReadout)


@pytest.mark.parametrize("name", ["bp", "fa", "fbp", "dfa"])
def test_a_new_kind_is_trained_observed_and_refused(name: str, graded: nn.Sequential) -> None:
    signal = GRADED.random(torch.Size((5, 4, 6)), torch.Generator().manual_seed(0))
    rule, ledger = getattr(rules, name)(graded), Ledger()
    rule.observe(ledger)
    rule.backward(loss_of(rule.forward(signal)))
    assert all(bool(parameter.grad.any()) for parameter in graded.parameters() if parameter.grad is not None)
    assert ledger.summary()["products_forward"] == 5 * 4 * (6 * 8 + 8 * 3)
    assert activity(graded, [signal])["0"].units == 8
    with pytest.raises(RequestError, match="no whole number"):
        rule.forward(signal + 0.5)
    with pytest.raises(RequestError, match="got a Static image; expected whole numbers"):
        rule.forward(Static(signal[0], 3))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_random_signal_is_one_of_its_kind(kind: SignalKind) -> None:
    shape = torch.Size((5, 4, 6) if kind.over_time else (4, 6))
    signal = kind.random(shape, torch.Generator().manual_seed(0))
    kind.check(signal)
    assert kind.sizes(signal) == (4, 5 if kind.over_time else 1)
    assert torch.equal(torch.cat([part for part in kind.chunks(signal, 3) if isinstance(part, Tensor)], -2), signal)


def test_a_function_is_applied_to_every_step_at_once_and_once_to_a_static_image() -> None:
    calls: list[torch.Size] = []

    def halved(features: Tensor) -> Tensor:
        calls.append(features.shape)
        return features[:, :3]

    steps = per_sample(halved, torch.rand(5, 4, 6))
    static = per_sample(halved, Static(torch.rand(4, 6), 5))
    assert isinstance(steps, Tensor)
    assert isinstance(static, Static)
    assert (steps.shape, static.image.shape, static.steps) == ((5, 4, 3), (4, 3), 5)
    assert calls == [(20, 6), (4, 6)]
    doubled = mapped(lambda image: 2 * image, static)
    assert isinstance(doubled, Static)
    assert torch.equal(doubled.image, 2 * static.image)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("static", [False, True])
def test_a_network_over_time_refuses_what_is_not_finite(value: float, static: bool) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.LIF(), nn.Linear(4, 2))
    signal = torch.rand(5, 2, 3)
    signal[3 if not static else 0, 1, 2] = value  # not in the first step alone
    shown = Static(signal[0], 4) if static else signal
    for run in (model, rules.ottt(model).forward):
        with pytest.raises(RequestError, match=r"got a signal with NaN or infinity in it; expected finite numbers"):
            run(shown)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_recordings_out_of_range_are_refused(value: float) -> None:
    recording = torch.zeros(1, 4, 2, 3, 3)
    recording[0, 1, 0, 2, 2] = value
    with pytest.raises(RequestError, match=r"Frames got images in \[.*; expected values in \[0, 1\], and no NaN"):
        Frames(2)(recording)
