"""Gradients of a batch, chunk by chunk."""

from __future__ import annotations

import dataclasses
import inspect
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from onchip import Static, models, nn, rules
from onchip import encoding as encode
from onchip.errors import RequestError, UnsupportedError
from onchip.kernels.phase import phase
from onchip.learning.noise import Noise
from onchip.learning.rule import Rule
from onchip.losses import StepLoss
from onchip.nn.signals import SPIKE_TIMES, SPIKE_TRAINS, TIME_STEPS, Signal, SignalKind
from onchip.nn.spike_train import SpikeTrain
from onchip.rules import __all__ as every_rule
from onchip.runs.config import RunConfig
from onchip.training.builder import load_data
from onchip.training.gradients import gradients
from onchip.training.loop import train
from tests.cases import scaled

IMAGES = torch.rand(10, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(10)
OVER_TIME = ["ottt", "dfa", "dkp", "local_learning", "decolle", "drtp", "etlp", "sltt", "s_tllr"]
BY_CHUNK = ["opzo", "anchored_dkp", "own_noise_mirror"]
"""Rules that learn feedback from a batch, and so from each chunk of it."""
KINDS: list[tuple[SignalKind, Signal, type[nn.Neuron]]] = [
    (TIME_STEPS, Static(2 * IMAGES, 4), nn.LIF),
    (TIME_STEPS, (2 * IMAGES).expand(4, *IMAGES.shape).contiguous(), nn.LIF),
    (SPIKE_TIMES, encode.Latency()(IMAGES), nn.TTFS),
]


def learned(
    name: str, signal: Signal, kind: SignalKind, neuron: Any, chunk: int | None
) -> tuple[list[Tensor], float, float]:
    torch.manual_seed(0)
    rule = getattr(rules, name)(models.conv_small((1, 8, 8), 10, neuron=neuron).double())
    doubled = Static(signal.image.double(), signal.steps) if isinstance(signal, Static) else signal.double()
    own, whole = gradients(rule, StepLoss(), doubled, LABELS, kind, chunk)
    return [parameter.grad for parameter in rule.parameters() if parameter.grad is not None], own, whole


@pytest.mark.parametrize("chunk", [1, 4, 10, 99])
@pytest.mark.parametrize(("kind", "signal", "neuron"), KINDS)
def test_chunks_make_the_batch(kind: SignalKind, signal: Signal, neuron: type[nn.Neuron], chunk: int) -> None:
    axis = 1 if kind.over_time and not isinstance(signal, Static) else 0
    parts = [part.image if isinstance(part, Static) else part for part in kind.chunks(signal, chunk)]
    assert {len(part.unbind(axis)) for part in parts[:-1]} <= {chunk}
    assert torch.equal(torch.cat(parts, axis), signal.image if isinstance(signal, Static) else signal)


@pytest.mark.parametrize("chunk", [1, 4, 10])
@pytest.mark.parametrize(("kind", "signal", "neuron"), KINDS)
@pytest.mark.parametrize("name", ["bp", "fbp", "fa", "kolen_pollack", *OVER_TIME])
def test_gradients_do_not_depend_on_chunks(
    name: str, kind: SignalKind, signal: Signal, neuron: type[nn.Neuron], chunk: int
) -> None:
    if kind is SPIKE_TIMES and name in OVER_TIME:
        pytest.skip("does not train neurons with spike times")
    found, *losses = learned(name, signal, kind, neuron, chunk)
    wanted, *expected = learned(name, signal, kind, neuron, None)
    assert all(float(gradient.abs().max()) > 0 for gradient in wanted)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)
    assert losses == pytest.approx(expected)


class Halves(SpikeTrain):
    """Spikes without chance, the same for a sample in whatever batch it is."""

    remembers = True

    def __call__(self, numbers: Tensor, carried: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        return phase(numbers, torch.full_like(numbers[0], 0.5) if carried is None else carried)

    def count(self, numbers: Tensor, steps: int) -> Tensor:
        return (numbers * steps + 0.5).floor_()


class Alternating(Noise):
    """Noise that is the same for each sample and time step."""

    def __call__(self, like: Tensor) -> Tensor:
        return (
            (1 - 2 * (torch.arange(like[0, 0].numel()) % 2)).to(like.dtype).view(like.shape[2:]).expand_as(like).clone()
        )


def without_chance(name: str, kind: SignalKind) -> Rule:
    """A rule on a network of two hidden layers, with nothing random in a step that depends on the order of samples."""
    neuron = partial(nn.Stochastic, train=Halves()) if kind is SPIKE_TRAINS else nn.LIF
    readout = [nn.MeanReadout()] if kind is SPIKE_TRAINS else []
    torch.manual_seed(0)
    made = getattr(rules, name)
    hidden = [nn.Linear(6, 20), neuron(), nn.Linear(20, 15), neuron()]
    model = scaled(nn.Sequential(*hidden, nn.Linear(15, 10), *readout), 2.0).double()
    options = inspect.signature(made).parameters
    fixed = {"noise": Alternating(), **({"train": Halves()} if kind is SPIKE_TRAINS else {})}
    return made(model, **{option: value for option, value in fixed.items() if option in options})


@pytest.mark.parametrize("name", every_rule)
def test_which_rules_learn_from_chunks_what_they_learn_from_the_batch(name: str) -> None:
    torch.manual_seed(1)
    signal = (torch.rand(8, 10, 6) < 0.5).double()
    compared = 0
    for kind in (TIME_STEPS, SPIKE_TRAINS):
        found = []
        for chunk in (None, 4):
            try:
                rule = without_chance(name, kind)
            except UnsupportedError:
                continue
            gradients(rule, StepLoss(0.0), signal, LABELS, kind, chunk)
            learned = [parameter.grad for parameter in rule.parameters() if parameter.grad is not None]
            assert all(float(gradient.abs().max()) > 0 for gradient in learned[-2:])
            found.append((learned, rule.state_dict()))
        if found:
            compared += 1
            if name in BY_CHUNK:
                with pytest.raises(AssertionError):
                    torch.testing.assert_close(found[1], found[0], rtol=1e-9, atol=1e-12)
                assert all(bool(gradient.isfinite().all()) for gradient in found[1][0])
            else:
                torch.testing.assert_close(found[1], found[0], rtol=1e-9, atol=1e-12)
    assert compared


def test_the_page_on_memory_names_these_rules() -> None:
    page = (Path(__file__).parents[2] / "docs" / "memory.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and "from each chunk" in line]
    assert {name for row in rows for name in re.findall(r"`([a-z_]+)`", row.split("|")[1])} == set(BY_CHUNK)


def test_a_chunk_of_another_size_has_spikes_of_the_same_size() -> None:
    """Under spikes of one size an update is a whole number of them, and that size is the batch's."""
    for chunk in (None, 1, 3, 7):
        rule = without_chance("ssnn_bp", SPIKE_TRAINS)
        gradients(rule, StepLoss(0.0), (torch.rand(8, 10, 6) < 0.5).double(), LABELS, SPIKE_TRAINS, chunk)
        bias = rule.layers[-1].bias
        assert bias is not None
        assert bias.grad is not None
        spikes = bias.grad * 8 * 10  # which are worth 1 / (T B) at the output
        torch.testing.assert_close(spikes, spikes.round(), rtol=0, atol=1e-9)
        assert float(spikes.abs().max()) >= 1


def test_training_in_chunks_is_training() -> None:
    config = RunConfig(rule="bp", net="mlp", train_size=100, steps=2, epochs=1, batch_size=20)
    data = load_data(config)
    whole = train(config, data).history[0].train_loss
    in_chunks = train(dataclasses.replace(config, chunk=7), data).history[0].train_loss
    assert in_chunks == pytest.approx(whole, rel=1e-3)


def test_bad_chunks_are_refused() -> None:
    with pytest.raises(RequestError, match="chunk got 0; expected at least 1"):
        RunConfig(chunk=0)
    with pytest.raises(RequestError, match="chunk got 8; expected none with synapses"):
        RunConfig(chunk=8, synapses="ideal")
