"""The recurrent connection in a call of a layer under a rule."""

import torch
from torch import Tensor

from onchip.learning.context import RuleContext, StreamState
from onchip.learning.observers import FactorObserver
from onchip.learning.three_factors import three_factors
from onchip.learning.updates import Synapses
from onchip.nn.graph import SynapticLayer
from onchip.nn.neurons.base import SavedTensors
from onchip.nn.recurrent import RecurrentProduct, recur, recur_back
from onchip.nn.signals import fold_time


class RecurrentCall:
    """One call of a layer's recurrent connection.

    Args:
        layer: The connection.
        index: Its position in the graph.
        context: The parts of the rule.

    Attributes:
        pre: Presynaptic factor of the update, (T, B, features...), after `take_factor`.
        arriving: Activity one step later, (T, B, features...), after `run`.
        sends: Whether errors pass through the connection.
    """

    def __init__(self, layer: SynapticLayer, index: int, context: RuleContext) -> None:
        self._layer = layer
        self._index = index
        self._context = context
        self.synapses = Synapses(layer, index, context)
        self.sends = index in context.feedback.senders
        mirrored = context.learning and context.feedback.mirrors and self.sends
        self._responses: list[Tensor] | None = [] if mirrored else None
        self.pre = self.arriving = torch.empty(0)

    def forget(self) -> None:
        """Drops what a second `run` makes again."""
        self.pre = self.arriving = torch.empty(0)
        if self._responses is not None:
            self._responses.clear()

    def run(
        self, drive: Tensor, state: StreamState, weight: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, SavedTensors]:
        """Activity of the neurons, (T, B, features...), and what their backward pass needs."""
        layer, last = self._layer, state.activity
        product = RecurrentProduct(layer.synapse, weight, bias, self._responses)
        given = drive.contiguous() if drive.stride(0) else drive.clone()  # a static drive is one step for all
        activities, saved, state.neurons = recur(layer.neuron, given, product, state.neurons, last)
        activity, self.arriving = activities[1:], activities[:-1]
        state.activity = activity[-1]
        first = last is None and bias is None  # whose product is not computed, since nothing arrives
        rows = fold_time(self.arriving[1:] if first else self.arriving)
        self.synapses.report("forward", rows.shape, rows.shape, rows, None)
        return activity, saved

    def take_factor(self, state: StreamState) -> None:
        """Computes the presynaptic factor of the update, after `run`."""
        presynaptic, neuron = self._context.temporal.presynaptic, self._layer.neuron
        self.pre, state.recurrent_trace = presynaptic(self.arriving, neuron, state.recurrent_trace)

    def report_factors(self, observer: FactorObserver, error: Tensor, saved: SavedTensors) -> None:
        """Reports the factors of the update for an error at the activity, (T, B, features...)."""
        observer.update(self._layer.name, three_factors(self._layer.neuron, self.pre, None, error, saved))

    def mirror(self, steps: int) -> None:
        """Gives feedback that `mirrors` the responses of the synapses, after `Feedback.fired`."""
        if self._responses and steps > 1:
            self._context.feedback.recurred(self._index, torch.stack(self._responses[-steps + 1 :]))

    def error(self, error: Tensor, saved: SavedTensors) -> Tensor:
        """Error at the drive (T, B, features...) through time and through the connection."""
        weight = self._context.feedback.weight(self._index)
        delta = recur_back(self._layer.neuron, error, saved, self._layer.synapse, weight)
        if len(delta) > 1:
            sent = fold_time(delta[1:])
            self.synapses.report("backward", sent.shape, sent.shape, None, sent)
        return delta

    def update(
        self,
        delta: Tensor,
        bias_rows: Tensor,
        unit: float | None,
        needs: tuple[bool, ...],
        bias_delta: Tensor | None = None,
    ) -> tuple[Tensor | None, Tensor | None]:
        """Gradients of weight and bias, each None where it is not needed, or a sink takes it.

        Args:
            delta: Error at the drive, (T, B, features...).
            bias_rows: The rows (N, features...) whose sum is the bias's update.
            unit: Value of one error spike, or None.
            needs: Whether weight and bias need a gradient.
            bias_delta: What takes the place of the weights' error in the update of a bias; None for that error.
        """
        context, for_weight, for_bias = self._context, None, None
        if needs[0]:
            pre, rows = context.temporal.update_rows(self.pre, delta, context.present)
            for_weight = self.synapses.update(pre, rows, unit, bias_delta)
        if needs[1] and context.sink is None:
            for_bias = self._layer.synapse.bias_update(bias_rows)
        return for_weight, for_bias
