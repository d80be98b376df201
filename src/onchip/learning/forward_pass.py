"""A forward pass of a network under a rule."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from onchip.errors import UnsupportedError
from onchip.learning.context import RuleContext, StreamState
from onchip.learning.layer_call import LayerCall
from onchip.learning.noise import Added
from onchip.learning.silent_layers import SilentLayers
from onchip.nn.graph import LayerGraph, SynapticLayer, run
from onchip.nn.signals import Signal, mapped, tensor_of


@dataclass
class ForwardPass:
    """Runs a graph and collects the hidden activity that gets an error of its own.

    Args:
        rule: Name of the rule, for messages.
        graph: The network.
        context: The parts of the rule.
        noise: Noise added in training to the input of each layer but the first, as a control; None for none.
        states: State of each layer in a stream, which is updated; None for a whole sequence.
        silent_layers: Check that warns of silent hidden layers; None in passes without a check.
        hidden: Hidden activity by the index of the layer that receives it; filled under direct feedback.
    """

    rule: str
    graph: LayerGraph
    context: RuleContext
    noise: Added | None = None
    states: Sequence[StreamState] | None = None
    silent_layers: SilentLayers | None = None
    hidden: dict[int, Tensor] = field(default_factory=dict)

    def __call__(self, signal: Signal) -> Tensor:
        """The network's output, (T, B, classes) or (B, classes).

        Raises:
            UnsupportedError: Feedback is direct, and the output is not one row per sample.
        """
        output = run(self.graph, signal, self._at_layer, self._at_receiver)
        feedback = self.context.feedback
        if feedback.direct and output.dim() != (3 if self.graph.kind.over_time else 2):
            raise UnsupportedError(
                f"{self.rule} sends errors straight from the output, which must be one row per sample; got an output "
                f"of shape {tuple(output.shape)}. End the network with nn.Flatten() or a Linear"
            )
        if self.context.learning:
            with torch.no_grad():
                feedback.outcome(output)
        return output

    def _at_receiver(self, index: int, signal: Signal) -> Signal:
        """Input of a layer; under direct feedback it is detached."""
        if not index:
            return mapped(Tensor.detach, signal)
        activity, feedback = tensor_of(signal), self.context.feedback
        if feedback.direct and not feedback.at_neurons:
            activity = self._cut(index, activity)
            if self.context.learning:
                activity = feedback.receive(index, activity)
        if self.context.learning and self.noise is not None:
            activity = self.noise(activity)
            for observer in self.context.observers:
                observer.drew(self.graph.layers[index].name, activity.numel())
        return activity

    def _at_layer(self, index: int, layer: SynapticLayer, signal: Signal) -> Tensor:
        positions = self.graph.positions
        above = positions[positions.index(index) + 1 :]
        state = None if self.states is None else self.states[index]
        activity = LayerCall(layer, index, len(above), self.context, state)(signal)
        if above and self.silent_layers is not None:
            self.silent_layers.check(layer.name, activity)
        return self._cut(above[0], activity) if above and self.context.feedback.at_neurons else activity

    def _cut(self, index: int, activity: Tensor) -> Tensor:
        self.hidden[index] = activity
        return activity.detach()
