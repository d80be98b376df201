"""Gradients of a batch, chunk by chunk."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from onchip import Static, models, nn, rules
from onchip import encoding as encode
from onchip.errors import RequestError, UnsupportedError
from onchip.losses import StepLoss
from onchip.nn.signals import SPIKE_TIMES, TIME_STEPS, Signal, SignalKind
from onchip.runs.config import RunConfig
from onchip.training.builder import load_data
from onchip.training.gradients import gradients
from onchip.training.loop import train

IMAGES = torch.rand(10, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(10)
OVER_TIME = ["ottt", "dfa", "dkp", "local_learning", "decolle", "drtp", "etlp", "sltt", "s_tllr"]
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


def test_rules_that_estimate_from_a_batch_do_so_from_each_chunk() -> None:
    found, *_ = learned("opzo", KINDS[0][1], TIME_STEPS, nn.LIF, 5)
    assert all(bool(gradient.isfinite().all()) for gradient in found)


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
    config = RunConfig(rule="ssnn_bp", neuron="stochastic", net="mlp", train_size=50, chunk=8)
    with pytest.raises(UnsupportedError, match="smaller batch size"):
        train(config, load_data(config))
