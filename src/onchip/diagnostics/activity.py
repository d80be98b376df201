"""Which neurons fire, and which pass error on: layer by layer, on given samples."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from onchip.errors import RequestError
from onchip.nn.graph import SynapticLayer, run
from onchip.nn.graph_builder import build_graph
from onchip.nn.recurrent import RecurrentProduct, recur
from onchip.nn.signals import Signal, expanded, tensor_of


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
    graph = build_graph(model)
    tallies: dict[str, _Tally] = {}
    samples = steps = 0
    training = model.training
    model.eval()
    try:
        for signal in signals:
            graph.check(signal)
            count, steps = graph.kind.sizes(signal)
            samples += count
            run(graph, signal, functools.partial(_tallied, tallies, graph.layers[-1]))
    finally:
        model.train(training)
    if not samples:
        raise RequestError("activity got no signals; expected at least one batch")
    return {name: _summed(tally, samples, steps) for name, tally in tallies.items()}


def _tallied(tallies: dict[str, _Tally], last: SynapticLayer, _: int, layer: SynapticLayer, signal: Signal) -> Tensor:
    """Activity of a layer, which is added to its tally unless it is the read-out."""
    neuron = layer.neuron
    drive = layer.drive(neuron.synaptic_input(signal), layer.module)
    if layer is last:
        return tensor_of(drive)
    if layer.recurrent is None:
        activity, saved, _state = neuron.run(drive, None, None)
    else:
        synapses = layer.recurrent
        product = RecurrentProduct(synapses.synapse, synapses.weight, synapses.bias)
        activities, saved, _state = recur(neuron, expanded(drive).contiguous(), product, None, None)
        activity = activities[1:]
    passes = (neuron.backward_local(torch.ones_like(activity), saved) != 0).any(0)  # (B, features...)
    new = _Tally(neuron.signal.spiked(activity).sum((0, 1)), passes.sum(0))
    old = tallies.get(layer.name)
    tallies[layer.name] = new if old is None else _Tally(old.fired + new.fired, old.passed + new.passed)
    return layer.pooled(activity) if neuron.pools_spikes else activity


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
