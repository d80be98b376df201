"""The description of a rule on a network, from its parts."""

from collections.abc import Sequence

from onchip.learning.context import RuleContext
from onchip.learning.description import ErrorPath, RuleDescription, SynapseDescription, UpdateForm
from onchip.nn.graph import LayerGraph, SynapticLayer


def describe(rule: str, graph: LayerGraph, context: RuleContext, *, noise: bool) -> RuleDescription:
    """What the rule does at each synapse.

    Args:
        rule: Name of the rule.
        graph: The network.
        context: The parts of the rule.
        noise: Whether the rule adds noise that is no part of the feedback.

    Raises:
        UnsupportedError: A part of the rule does not describe itself.
    """
    feedback, consumers = context.feedback, graph.consumers
    synapses: list[SynapseDescription] = []
    for index, layer in zip(graph.positions, graph.feedforward, strict=True):
        last = index == graph.positions[-1]
        above = feedback.hidden if feedback.direct else feedback.senders
        reached = [other for other in consumers[index] if other in above]
        if layer.recurrent is not None and index + 1 in feedback.senders and not feedback.direct:
            reached.append(index + 1)
        paths = (ErrorPath("output error", "nothing"),) if last else feedback.paths(reached)
        synapses += _described(layer, context, paths, last=last)
    return RuleDescription(
        rule, tuple(synapses), context.code.carries, noise=noise or feedback.perturbs, needs_targets=feedback.by_target
    )


def _described(
    layer: SynapticLayer, context: RuleContext, paths: Sequence[ErrorPath], *, last: bool
) -> list[SynapseDescription]:
    """The descriptions of a layer and of its recurrent connection."""
    neuron, recurrent = layer.neuron, layer.recurrent
    if neuron.signal.over_time:
        form = context.temporal.form(neuron, context.readout, last=last, recurrent=recurrent is not None)
    else:
        form = UpdateForm((), (), "spike times")
    surrogate = getattr(neuron, "surrogate", None)
    return [
        SynapseDescription(
            layer=connection.name,
            kind=type(connection.module).__name__,
            shape=tuple(connection.parameter.shape),
            shared=bool(connection.synapse.bare().spatial_axes),
            recurrent=connection is recurrent,
            neuron=type(neuron).__name__,
            signal=neuron.signal.name,
            readout=neuron.readout,
            surrogate="" if surrogate is None else repr(surrogate),
            update=form,
            paths=tuple(paths),
        )
        for connection in (layer, recurrent)
        if connection is not None
    ]
