"""Spike-based backpropagation against the gradient of the network that its neurons stand for."""

from __future__ import annotations

import math
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.encoding import Poisson, RandomPhase
from onchip.errors import UnsupportedError
from onchip.learning.coding.spikes import SpikeErrors
from onchip.learning.observers import UpdateSink
from onchip.learning.rule import Rule
from onchip.learning.temporal.coincidence import Coincidences, Counts
from onchip.losses import StepLoss, Winner
from onchip.nn.signals import Static
from onchip.nn.spike_train import BernoulliTrain, SpikeTrain
from onchip.nn.spike_train import RandomPhaseTrain as Phase
from onchip.transport import Full
from tests.cases import gradients

BATCH = 32
LOSS = StepLoss(mix=0.0)


def layers(neuron: Any, *closing: Any) -> nn.Sequential:
    torch.manual_seed(0)
    first, last = nn.Linear(20, 16), nn.Linear(16, 4)
    with torch.no_grad():
        first.weight.mul_(1.5)
        last.weight.mul_(2.0)
    return nn.Sequential(first, neuron, last, *closing)


def gradient(weight: Any) -> Tensor:
    """What has been added to `.grad`, a copy."""
    assert isinstance(weight.grad, Tensor)
    return weight.grad.clone()


def problem() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.rand(BATCH, 20), torch.randint(0, 4, (BATCH,))


def true_gradients() -> list[Tensor]:
    """Of the clipped network, by plain autograd and nothing of ours."""
    images, labels = problem()
    model = layers(nn.Identity())
    first, _, last = model.children()
    torch.nn.functional.cross_entropy(last(first(images).clamp(0, 1)), labels).backward()
    return [gradient(first.weight), gradient(last.weight)]


def mean_gradients(rule_of: Any, neuron: nn.Stochastic, encode: Any, loss: Any, repeats: int) -> list[list[Tensor]]:
    """Mean updates of the hidden and the output weights in two halves of the repeats."""
    images, labels = problem()
    rule: Rule = rule_of(layers(neuron, nn.MeanReadout()))
    halves = []
    for half in range(2):
        torch.manual_seed(10 + half)
        for _ in range(repeats):
            rule.backward(loss(rule.forward(encode(images)), labels))
        halves.append([gradient(stage.weight) / repeats for stage in rule.layers])
        for parameter in rule.parameters():
            parameter.grad = None
    return halves


def cosine(one: Tensor, other: Tensor) -> float:
    return torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), dim=0).item()


def bias(halves: list[Tensor], truth: Tensor) -> float:
    """Relative size of the mean's error; the halves' own noise cancels, being independent."""
    return math.sqrt(max(0.0, ((halves[0] - truth) * (halves[1] - truth)).sum().item())) / truth.norm().item()


FORMS: dict[str, tuple[SpikeTrain, Any, Any, Any]] = {
    "paper": (BernoulliTrain(), Coincidences(), Poisson, Winner()),
    "ours": (Phase(), Counts(), RandomPhase, LOSS),
}


@pytest.mark.parametrize("potential", ["mean", "integrate"])
@pytest.mark.parametrize("form", FORMS)
def test_the_mean_update_is_the_gradient_of_the_clipped_network(
    form: str, potential: Literal["mean", "integrate"]
) -> None:
    train, temporal, encoder, loss = FORMS[form]
    halves = mean_gradients(
        lambda model: rules.ssnn_bp(model, gain=1.0, train=train, temporal=temporal),
        nn.Stochastic(train=train, potential=potential),
        encoder(4096),
        loss,
        2,
    )
    hidden, output = true_gradients()
    means = [(one + other) / 2 for one, other in zip(*halves, strict=True)]
    assert cosine(means[0], hidden) > 0.97
    assert cosine(means[1], output) > 0.995
    for found, truth in zip(means, (hidden, output), strict=True):
        assert found.norm().item() == pytest.approx(truth.norm().item(), rel=0.1)


def test_instantaneous_potentials_are_biased_and_the_running_mean_is_less_so() -> None:
    found = {}
    potentials: tuple[Literal["mean", "instant"], ...] = ("mean", "instant")
    for potential in potentials:
        neuron = nn.Stochastic(train=BernoulliTrain(), potential=potential)
        halves = mean_gradients(
            lambda model: rules.ssnn_bp(model, gain=1.0, train=BernoulliTrain(), temporal=Coincidences()),
            neuron,
            Poisson(64),
            LOSS,
            60,
        )
        hidden, _ = true_gradients()
        found[potential] = bias([halves[0][0], halves[1][0]], hidden)
    assert found["instant"] > 0.15
    assert found["mean"] < 0.6 * found["instant"]


def test_both_sides_of_the_gate_matter() -> None:
    """Without the upper gate, saturated neurons would learn on: the clip's derivative is 0 there."""
    neuron = nn.Stochastic()
    drive = torch.tensor([[-0.5, 0.5, 1.5]]).expand(4, 1, 3).clone()
    _, tape, _ = neuron.run(drive, None, None)
    assert neuron.backward_local(torch.ones(4, 1, 3), tape)[:, 0].tolist() == [[0.0, 1.0, 0.0]] * 4


def test_errors_and_activity_are_spikes_of_one_worth() -> None:
    class Look(UpdateSink):
        counts = True

        def __init__(self) -> None:
            self.seen: list[tuple[Tensor, Tensor, float | None]] = []

        def take(
            self, stage: Any, pre: Tensor, delta: Tensor, unit: float | None, bias_delta: Tensor | None = None
        ) -> None:
            self.seen.append((pre, delta, unit))

    images, labels = problem()
    model = layers(nn.Stochastic(), nn.MeanReadout())
    rule = rules.ssnn_bp(model, gain=2.0, temporal=Coincidences())
    look = Look()
    rule.deliver(look)
    rule.backward(LOSS(rule.forward(RandomPhase(8)(images)), labels))
    assert len(look.seen) == 2
    for (pre, delta, unit), depth in zip(look.seen, (0, 1), strict=True):
        assert set(pre.unique().tolist()) == {0.0, 1.0}
        assert unit is not None
        assert unit == pytest.approx(1 / (8 * BATCH * 2.0**depth))
        assert set((delta / unit).unique().tolist()) <= {-1.0, 0.0, 1.0}
    assert not gradients(model)


def test_counts_have_the_mean_of_coincidences() -> None:
    torch.manual_seed(0)
    pre, delta = torch.full((8, 20_000, 2), 0.3), torch.full((8, 20_000, 3), -0.6)
    train = BernoulliTrain()
    pre, delta = train(pre)[0], train(delta)[0]
    each, counted = Coincidences().update_rows(pre, delta), Counts().update_rows(pre, delta)
    by_step = each[1].t() @ each[0] / len(each[0])
    by_count = counted[1].t() @ counted[0] / len(each[0])
    torch.testing.assert_close(by_step, torch.full((3, 2), -0.18), rtol=0.0, atol=0.006)
    torch.testing.assert_close(by_count, torch.full((3, 2), -0.18), rtol=0.0, atol=0.003)


def test_the_winners_error_is_unbiased_for_the_softmax() -> None:
    torch.manual_seed(0)
    out, labels = torch.randn(5, 3, 4), torch.tensor([0, 1, 3])
    many = out.unsqueeze(0).expand(6000, 5, 3, 4).flatten(0, 1).requires_grad_()
    Winner()(many, labels).backward()
    assert many.grad is not None
    scaled = many.grad * 6000 * 15
    assert set(scaled.round().unique().tolist()) == {-1.0, 0.0, 1.0}
    expected = out.softmax(-1) - torch.nn.functional.one_hot(labels, 4)
    torch.testing.assert_close(scaled.unflatten(0, (6000, 5)).mean(0), expected, rtol=0.0, atol=0.035)


def test_a_gain_that_clips_is_said_once() -> None:
    images, labels = problem()
    rule = rules.ssnn_bp(layers(nn.Stochastic(), nn.MeanReadout()), gain=60.0)

    def train() -> None:
        for _ in range(40):
            rule.backward(LOSS(rule.forward(RandomPhase(4)(images)), labels))

    with pytest.warns(UserWarning, match=r"\d+% of the errors at depth 1 below .* \(β = 60\); use a smaller gain"):
        train()


@pytest.mark.parametrize("trials", [1, 16])
def test_the_rate_form_has_mean_and_spread_of_the_streams(trials: int) -> None:
    """One layer whose potential has settled: constant drive, so that each step has the same probability."""
    torch.manual_seed(0)
    probability = torch.tensor([0.1, 0.5, 0.85]).expand(1, 20_000, 3)
    for train in (BernoulliTrain(), Phase()):
        streams = nn.Stochastic(train=train)(probability.expand(trials, 20_000, 3)).mean(0)
        rates = nn.Rate(trials=trials, train=train)(probability)[0]
        torch.testing.assert_close(rates.mean(0), streams.mean(0), rtol=0.0, atol=0.012)
        torch.testing.assert_close(rates.var(0), streams.var(0), rtol=0.06, atol=1e-4)


def test_without_trials_the_rate_network_is_the_clipped_network() -> None:
    images, labels = problem()
    rule = rules.bp(layers(nn.Rate()))
    rule.backward(LOSS(rule.forward(Static(images, 1)), labels))
    for stage, truth in zip(rule.layers, true_gradients(), strict=True):
        torch.testing.assert_close(gradient(stage.weight), truth)


def test_frozen_feedback_refreshed_at_each_step_is_ssnn_bp() -> None:
    images, labels = problem()
    found = []
    for make in (
        rules.ssnn_bp,
        lambda model: rules.fbp(model, period=1, transport=Full(), temporal=Counts(), code=SpikeErrors(2.0)),
    ):
        rule: Rule = make(layers(nn.Stochastic(), nn.MeanReadout()))
        optimizer = torch.optim.SGD(rule.parameters(), lr=0.5)
        torch.manual_seed(3)
        for _ in range(5):
            rule.backward(LOSS(rule.forward(RandomPhase(8)(images)), labels))
            optimizer.step()
            optimizer.zero_grad()
            rule.step()
        found.append([stage.weight.detach().clone() for stage in rule.layers])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_a_stream_carries_potentials_on_and_learns_step_by_step() -> None:
    """Hidden neurons that always or never fire make no draw matter; what is left are the running means."""
    images, labels = problem()
    model = layers(nn.Stochastic(train=BernoulliTrain()), nn.MeanReadout())
    first = model[0]
    assert isinstance(first, nn.Linear)
    with torch.no_grad():
        first.bias.copy_(torch.tensor([50.0, -50.0]).repeat(8))
    rule = rules.ssnn_bp(model, train=BernoulliTrain(), temporal=Coincidences())
    signal = Poisson(6)(images)
    with torch.no_grad():
        whole = rule.forward(signal)
    found = []
    for out in rule.stream(signal):
        rule.backward(LOSS(out, labels))
        found.append(out.detach())
    torch.testing.assert_close(torch.cat(found), whole)
    assert gradients(model)


def test_trains_that_remember_cannot_be_carried_step_by_step() -> None:
    images, _ = problem()
    rule = rules.ssnn_bp(layers(nn.Stochastic(), nn.MeanReadout()), temporal=Coincidences())
    with pytest.raises(UnsupportedError, match="ssnn_bp cannot stream"):
        next(rule.stream(RandomPhase(4)(images)))
