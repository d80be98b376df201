"""Which neurons fire, and which pass error on: layer by layer, on given samples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from onchip.errors import RequestError
from onchip.nn.graph_builder import LayerGraph, SynapticLayer, build_graph, validated
from onchip.nn.signals import Signal, Static

__all__ = ["Activity", "activity"]


@dataclass(frozen=True)
class Activity:
    """A hidden layer's neurons on some samples; each place of a feature map counts as a neuron of its own.

    Args:
        units: neurons of the layer.
        silent: neurons that never fired.
        dead: neurons whose local derivative was 0 for every sample and step. No rule can train what drives
            them, or send an error through them. Smooth surrogates never vanish, so only closed-form spike
            times and surrogates of bounded width have any.
        saturated: neurons that fired for every sample, and at every step where there are steps.
        rate: spikes a neuron and sample, and step where there are steps; in [0, 1].
        passing: share of the pairs of neuron and sample whose local derivative is not 0 at some step.
    """

    units: int
    silent: int
    dead: int
    saturated: int
    rate: float
    passing: float


@dataclass
class _Tally:
    """Counts of a layer, each (features...).

    Args:
        fired: spikes.
        passed: samples for which the neuron passed error at some step.
    """

    fired: Tensor
    passed: Tensor


@torch.no_grad()
def activity(model: nn.Module, signals: Iterable[Signal]) -> dict[str, Activity]:
    """Runs a network on batches, and counts. Dropout is off meanwhile; nothing that training depends on changes.

    Args:
        model: a network of `onchip.nn`.
        signals: batches of (T, B, features...) or Static, or of spike times (B, features...); for "over an
            epoch", all of its batches.

    Returns:
        An entry for each layer with weights but the last, by its name in the network.

    Raises:
        RequestError: no batch, or signals that the network cannot take.

    Example:
        >>> from onchip import nn
        >>> model = nn.Sequential(nn.Linear(4, 8, bias=False), nn.TTFS(), nn.Linear(8, 3, bias=False), nn.TTFSReadout())
        >>> activity(model, [torch.full((2, 4), torch.inf)])["0"]  # nothing comes in
        Activity(units=8, silent=8, dead=8, saturated=0, rate=0.0, passing=0.0)

    Reference: ours; units that have stopped passing gradients are what a late transport finds (docs/fbp.md).
    """
    plan = build_graph(model)
    tallies: dict[str, _Tally] = {}
    samples = steps = 0
    training = model.training
    model.eval()
    try:
        for signal in signals:
            count, steps = _run(plan, validated(signal, plan), tallies)
            samples += count
    finally:
        model.train(training)
    if not samples:
        raise RequestError("activity got no signals; expected at least one batch")
    return {name: _summed(tally, samples, steps) for name, tally in tallies.items()}


def _run(plan: LayerGraph, signal: Signal, tallies: dict[str, _Tally]) -> tuple[int, int]:
    """Adds one batch to the tallies; its samples, and its time steps or 1."""
    if isinstance(signal, Static):
        samples, steps = len(signal.image), signal.steps
    else:
        samples, steps = (len(signal), 1) if plan.kind == "times" else (signal.shape[1], len(signal))
    kept: list[Signal] = []
    for part in plan.parts:
        if not isinstance(part, SynapticLayer):
            signal = part(signal, plan.kind, kept)
            continue
        if part is plan.layers[-1]:
            break
        planes = part.neuron.planes(signal)
        if isinstance(planes, Static):
            drive: Tensor | Static = Static(part.module(planes.image), planes.steps)
        else:
            drive = part.module(planes.flatten(0, 1)).unflatten(0, planes.shape[:2])
        spikes, tape, _ = part.neuron.run(drive, None, None)
        assert isinstance(spikes, Tensor), "what neurons send is never Static"
        local = part.neuron.backward_local(torch.ones_like(spikes), tape)  # (K, B, features...)
        passes = (local != 0).any(0)  # (B, features...)
        fired = torch.isfinite(spikes)[None] if plan.kind == "times" else spikes != 0  # (T or 1, B, features...)
        new = _Tally(fired.sum((0, 1)), passes.sum(0))
        old = tallies.get(part.name)
        tallies[part.name] = new if old is None else _Tally(old.fired + new.fired, old.passed + new.passed)
        signal = part.pooled(spikes) if plan.kind == "steps" else spikes
    return samples, steps


def _summed(tally: _Tally, samples: int, steps: int) -> Activity:
    units = tally.fired.numel()
    return Activity(
        units=units,
        silent=int((tally.fired == 0).sum()),
        dead=int((tally.passed == 0).sum()),
        saturated=int((tally.fired == samples * steps).sum()),
        rate=int(tally.fired.sum()) / (units * samples * steps),
        passing=int(tally.passed.sum()) / (units * samples),
    )
