"""One call of a synaptic layer as an autograd function: the only place in which a rule acts.

The forward pass computes synapses, neurons and pool. The backward pass computes gradients from the rule's own factors,
and sends down the error of the rule's feedback, which need not be a derivative.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from onchip.kernels.lif import weighted_sum
from onchip.learning.coding.base import ErrorCode
from onchip.learning.feedback.base import Feedback
from onchip.learning.observers import FactorObserver, Observer, ProductKind, UpdateSink
from onchip.learning.temporal.base import Temporal
from onchip.learning.three_factors import three_factors
from onchip.nn.graph import SynapticLayer
from onchip.nn.neurons.base import SavedTensors, State
from onchip.nn.signals import Signal, Static, expanded, fold_time, tensor_of
from onchip.nn.synapses.product import SynapticProduct


@dataclass
class StreamState:
    """State of a layer between two chunks of a stream; empty at the start.

    Args:
        neurons: State of the neurons.
        trace: Presynaptic factor at the last step, (B, features...), for a signal over time.
        static_trace: Presynaptic factor at the last step as a multiple of a static image.
    """

    neurons: State | None = None
    trace: Tensor | None = None
    static_trace: float = 0.0


@dataclass
class RuleContext:
    """The parts of a rule, and its observers.

    Args:
        feedback: Spatial credit.
        temporal: Temporal credit.
        code: Representation of errors.
        observers: Observers of every product, transport and step.
        factor_observers: Observers of the factors of every update.
        sink: Destination of updates instead of `.grad`; None for `.grad`.
        learning: Whether feedback may learn from this forward pass.
    """

    feedback: Feedback
    temporal: Temporal
    code: ErrorCode
    observers: tuple[Observer, ...] = ()
    factor_observers: tuple[FactorObserver, ...] = ()
    sink: UpdateSink | None = None
    learning: bool = True


class LayerCall:
    """One call of one layer under one rule.

    Args:
        layer: The layer.
        index: Position of the layer in the graph.
        depth: Number of synaptic layers between this one and the output.
        context: The parts of the rule.
        state: State after the earlier chunks of a stream; None outside of streams.
    """

    def __init__(
        self, layer: SynapticLayer, index: int, depth: int, context: RuleContext, state: StreamState | None
    ) -> None:
        self._layer = layer
        self._index = index
        self._depth = depth
        self._context = context
        self._state = state
        self._pre: Tensor = torch.empty(0)
        self._factors: list[float] | None = None
        self._saved = SavedTensors()
        self._stored = 0

    def __call__(self, signal: Signal) -> Tensor:
        """The layer's activity for a signal at its synapses, recorded by autograd."""
        neuron, layer = self._layer.neuron, self._layer
        decay = None if neuron.decay_parameter is None else torch.sigmoid(neuron.decay_parameter)
        steps = signal.steps if isinstance(signal, Static) else None
        activity: Tensor = _LayerFunction.apply(self, steps, tensor_of(signal), layer.weight, layer.bias, decay)
        if self._context.observers and activity.requires_grad:
            self._report_stored()
        return layer.pooled(activity) if self._saved.pool is None else activity

    def forward(self, signal: Signal, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Activity of the layer, (T, B, features...) or (B, features...); saves what `backward` needs."""
        layer, neuron, context = self._layer, self._layer.neuron, self._context

        def product(inputs: Tensor) -> Tensor:
            drive = layer.synapse.apply(inputs, weight, bias)
            self._report("forward", inputs.shape, drive.shape, inputs, None)
            return drive

        synaptic_input = neuron.synaptic_input(signal)
        drive = layer.drive(synaptic_input, product)
        state = self._state or StreamState()
        if isinstance(synaptic_input, Static):
            self._pre = synaptic_input.image
            self._factors = context.temporal.static_factors(synaptic_input.steps, neuron, state.static_trace)
            state.static_trace = self._factors[-1]
        else:
            self._pre = context.temporal.presynaptic(synaptic_input, neuron, state.trace)
            state.trace = self._pre[-1]
        if context.learning:
            drive = context.feedback.at_drive(self._index, drive)
        updates = expanded(drive).numel()
        activity, self._saved, state.neurons = neuron.run(drive, state.neurons, layer.fused_pool(drive))
        if context.learning:
            context.feedback.fired(self._index, activity, neuron.probability(self._saved))
        for observer in context.observers:
            observer.fired(layer.name, updates, lambda: neuron.spikes(activity, self._saved.pool or 1))
        return activity

    def backward(
        self, error: Tensor, needs: tuple[bool, ...]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]:
        """Gradients for the signal, the weight, the bias and the neurons' decay."""
        layer, neuron, context = self._layer, self._layer.neuron, self._context
        for factor_observer in context.factor_observers:
            factors = three_factors(neuron, self._pre, self._factors, error, self._saved)
            factor_observer.update(layer.name, factors)
        for_signal = for_weight = for_bias = None
        pre = self._pre
        unit, through_time = context.code.unit(error.shape, self._depth), context.temporal.through_time
        if self._factors is not None and unit is None and not needs[0]:
            sums = neuron.backward_sums(error, self._saved, self._factors, through_time=through_time)
            delta_sum, bias_rows = sums
        else:
            delta = neuron.backward(error, self._saved, through_time=through_time)
            delta = context.code.carry(delta, self._depth)  # (K, B, ...)
            bias_rows = fold_time(delta)
            if needs[0]:
                for_signal = self._send_down(delta)
            if self._factors is None:
                pre, delta_sum = context.temporal.update_rows(pre, delta)
            else:
                delta_sum = weighted_sum(delta, self._factors)
        if needs[1]:
            if context.sink is None:
                for_weight = layer.synapse.weight_grad(pre, delta_sum)
            else:
                context.sink.take(layer, pre, delta_sum, unit)
            self._report("update", pre.shape, delta_sum.shape, pre, delta_sum)
            if context.feedback.twin and self._index:  # never with a sink
                self._report("feedback_update", pre.shape, delta_sum.shape, pre, delta_sum)
        if needs[2] and context.sink is None:
            for_bias = layer.synapse.bias_update(bias_rows)
        for observer in context.observers:
            observer.stored(layer.name, -self._stored)
        return for_signal, for_weight, for_bias, self._saved.values.pop("decay_error", None)

    def _send_down(self, delta: Tensor) -> Tensor:
        neuron = self._layer.neuron
        sent = neuron.error_sent(delta)
        weight = self._context.feedback.weight(self._index)
        shape = torch.Size((sent.shape[0] * sent.shape[1], *self._pre.shape[2:]))
        post = fold_time(sent)
        received = self._layer.synapse.backward_input(post, weight, shape)
        self._report("backward", shape, post.shape, None, post)
        return neuron.error_received(received.unflatten(0, sent.shape[:2]), self._pre)

    def _report(
        self, kind: ProductKind, inputs: torch.Size, outputs: torch.Size, pre: Tensor | None, post: Tensor | None
    ) -> None:
        if not self._context.observers:
            return
        # An error passes through one part of the signal only, for example the spike times.
        parts = self._layer.neuron.signal.parts if pre is not None else 1
        product = SynapticProduct(self._layer.synapse, inputs, outputs, pre, post, parts)
        for observer in self._context.observers:
            observer.product(self._layer.name, kind, product)

    def _report_stored(self) -> None:
        tensors = [self._pre, *self._saved.values.values()]
        if self._state is not None:
            carried = (*(self._state.neurons or ()), self._state.trace)
            tensors += [tensor for tensor in carried if isinstance(tensor, Tensor)]
        self._stored = sum(tensor.numel() for tensor in tensors)
        for observer in self._context.observers:
            observer.stored(self._layer.name, self._stored)


class _LayerFunction(torch.autograd.Function):
    """Forwards autograd's calls to the `LayerCall`."""

    @staticmethod
    def forward(
        ctx: Any,
        call: LayerCall,
        steps: int | None,
        signal: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        _: Tensor | None,
    ) -> Tensor:
        ctx.call = call
        return call.forward(signal if steps is None else Static(signal, steps), weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *ctx.call.backward(error, ctx.needs_input_grad[2:])
