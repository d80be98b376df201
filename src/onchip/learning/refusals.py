"""Refusals of networks, signals and sinks that do not fit the parts of a rule."""

from collections.abc import Sequence
from itertools import chain

import torch

from onchip.errors import RequestError, UnsupportedError
from onchip.learning.coding.base import ErrorCode
from onchip.learning.eligibility import missing_states
from onchip.learning.feedback.base import Feedback
from onchip.learning.observers import UpdateSink
from onchip.learning.temporal.base import Temporal
from onchip.nn import neurons
from onchip.nn.graph import LayerGraph
from onchip.nn.signals import SignalKind


def refuse_untrainable(rule: str, graph: LayerGraph, trains: Sequence[SignalKind] | None) -> None:
    """Raises UnsupportedError unless the rule trains the network's kind of neurons."""
    if trains is None or graph.kind in trains:
        return
    layer = graph.layers[0]
    known = [name for name in neurons.__all__ if getattr(neurons, name).signal in trains]
    raise UnsupportedError(
        f"{rule} cannot train {type(layer.neuron).__name__} neurons (after layer {layer.name!r}); "
        f"it trains {', '.join(known)}"
    )


def refuse_computed_weights(rule: str, graph: LayerGraph, does: str) -> None:
    """Raises UnsupportedError if a layer's weights are not its parameters, but computed from them."""
    for layer in graph.layers:
        if layer.weight is not layer.parameter:
            raise UnsupportedError(
                f"{rule} {does}, and those of {type(layer.module).__name__} {layer.name!r} are computed from "
                "parameters at each step; use nn.Conv2d"
            )


def refuse_other_device(rule: str, feedback: Feedback, device: torch.device) -> None:
    """Raises RequestError unless the feedback is on the network's device."""
    tensor = next(chain(feedback.buffers(), feedback.parameters()), None)
    if tensor is not None and tensor.device != device:
        raise RequestError(
            f"{rule} has its feedback on device {str(tensor.device)!r} and the network on {str(device)!r}; "
            "expected one device. Use rule.to(...), which moves both"
        )


def refuse_sink(
    rule: str, graph: LayerGraph, feedback: Feedback, code: ErrorCode, sink: UpdateSink, earlier: UpdateSink | None
) -> None:
    """Refuses a sink that cannot take the rule's updates.

    Raises:
        RequestError: Another sink already takes them.
        UnsupportedError: Feedback weights are trained by the weights' updates, which the sink does not take, errors
            are real numbers but the sink counts spikes, or weights are computed from parameters.
    """
    name = type(sink).__name__
    if earlier is not None:
        raise RequestError(
            f"{rule}: updates go to {type(earlier).__name__} already; expected one sink. Create a new rule for another"
        )
    if feedback.twin and not sink.takes_feedback:
        raise UnsupportedError(
            f"{rule} trains its feedback weights by the weights' own updates, which go to {name}; "
            "use an optimizer, or another rule"
        )
    if sink.counts and code.unit(torch.Size((1, 1)), 0) is None:
        raise UnsupportedError(
            f"{rule} has errors that are real numbers, and {name} counts spikes; use a "
            "rule whose errors are spikes, such as ssnn_bp, or a device that takes numbers"
        )
    refuse_computed_weights(rule, graph, f"sends updates of the weights themselves to {name}")


def refuse_coded_recurrence(rule: str, graph: LayerGraph, feedback: Feedback, code: ErrorCode) -> None:
    """Raises UnsupportedError if errors would pass a recurrent connection in a code other than real numbers."""
    for index in feedback.senders:
        if index not in graph.positions and not code.exact:
            raise UnsupportedError(
                f"{rule} sends errors as {type(code).__name__}, and credit through time sends them through the "
                f"recurrent connection {graph.layers[index].name!r} as real numbers; use temporal=online or "
                "counts, which send none through it, or errors as real numbers"
            )


def refuse_stream(rule: str, graph: LayerGraph, temporal: Temporal, code: ErrorCode) -> None:
    """Raises UnsupportedError unless the rule assigns credit step by step."""
    if not (graph.kind.over_time and temporal.streams and code.streams):
        raise UnsupportedError(
            f"{rule} cannot stream: it needs the whole sequence before it can assign credit. "
            "Use rule.forward, or an online rule such as ottt"
        )
    if reason := missing_states(graph, temporal):
        raise UnsupportedError(f"{rule} cannot stream: {reason}")


def refuse_padding(rule: str, temporal: Temporal) -> None:
    """Raises UnsupportedError if the rule needs sequences of one length."""
    if not temporal.pads:
        raise UnsupportedError(
            f"{rule} counts time steps from the end of the batch, and its sequences end at different steps; expected "
            "sequences of one length. Use labels (T, B) with -1 at steps without a target instead"
        )


def refuse_time_constants(rule: str, graph: LayerGraph, feedback: Feedback, temporal: Temporal) -> None:
    """Raises UnsupportedError if the rule needs a filter that all neurons of a layer share, and their decays differ."""
    *_, last = graph.layers
    for layer in graph.layers:
        try:
            temporal.static_factors(1, layer.neuron, None)
            if layer is last:
                temporal.filters(layer.neuron)
            if layer is last and feedback.direct:
                temporal.readout_decays(layer.neuron)
        except UnsupportedError as error:
            raise UnsupportedError(f"{rule} cannot train layer {layer.name!r}: {error}") from None


def refuse_factors(rule: str, graph: LayerGraph, temporal: Temporal, code: ErrorCode) -> None:
    """Raises UnsupportedError unless each update is a sum over steps of trace, surrogate derivative and error."""
    real = code.unit(torch.Size((1, 1)), 0) is None
    traces = all(temporal.factorizes(layer.neuron) for layer in graph.layers)
    if not (temporal.streams and temporal.three_factors and traces and graph.kind.rates and real):
        raise UnsupportedError(
            f"{rule} has no three-factor form on {graph.kind.name}: its errors propagate through time, or are "
            "spikes, or meet two traces or a state per synapse, or its neurons have no time steps. Use an online rule "
            "such as ottt with LIF neurons"
        )


def refuse_recomputation(rule: str, feedback: Feedback) -> None:
    """Raises UnsupportedError if feedback changes the drive of neurons, which could not be computed again."""
    if feedback.at_neurons and feedback.perturbs:
        raise UnsupportedError(
            f"{rule} adds noise to the drive of its neurons, and recomputation would need it again; add it after the "
            "neurons (place=after), or leave recompute out"
        )
