"""One call of a synaptic layer as an autograd function: the only place in which a rule acts.

The forward pass computes synapses, neurons and pool. The backward pass computes gradients from the rule's own factors,
and sends down the error of the rule's feedback, which need not be a derivative.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from onchip.errors import UnsupportedError
from onchip.kernels.lif import weighted_sum
from onchip.learning.coding.base import ErrorCode
from onchip.learning.eligibility import SynapseStates, split
from onchip.learning.feedback.base import Feedback
from onchip.learning.observers import FactorObserver, Observer, ProductKind, UpdateSink
from onchip.learning.temporal.base import Temporal
from onchip.learning.three_factors import three_factors
from onchip.nn.graph import SynapticLayer
from onchip.nn.neurons.base import Neuron, SavedTensors, State
from onchip.nn.recurrent import RecurrentProduct, delayed, recur, recur_back
from onchip.nn.signals import Signal, Static, expanded, fold_time, tensor_of
from onchip.nn.synapses.product import SynapticProduct


@dataclass
class StreamState:
    """State of a layer between two chunks of a stream; empty at the start.

    Args:
        neurons: State of the neurons.
        trace: State of the presynaptic factor, for a signal over time.
        static_trace: The same for a static image, as multiples of it.
        bias_trace: State of the bias's factor.
        activity: Activity at the last step, (B, features...), of neurons with a recurrent connection.
        recurrent_trace: State of the presynaptic factor of that connection.
        post_trace: What temporal credit remembers of the neurons' activity.
        synapses: Eligibility of each synapse, where no product of factors can stand for it.
    """

    neurons: State | None = None
    trace: tuple[Tensor, ...] | None = None
    static_trace: tuple[float, ...] | None = None
    bias_trace: tuple[float, ...] | None = None
    activity: Tensor | None = None
    recurrent_trace: tuple[Tensor, ...] | None = None
    post_trace: tuple[Tensor, ...] | None = None
    synapses: SynapseStates | None = None


@dataclass
class RuleContext:
    """The parts of a rule, and its observers.

    Args:
        feedback: Spatial credit.
        temporal: Temporal credit.
        code: Representation of errors.
        readout: Neurons of the last layer.
        observers: Observers of every product, transport and step.
        factor_observers: Observers of the factors of every update.
        sink: Destination of updates instead of `.grad`; None for `.grad`.
        learning: Whether feedback may learn from this forward pass.
        present: Which steps of a padded sequence are its own, (T, B) bool; None for all.
    """

    feedback: Feedback
    temporal: Temporal
    code: ErrorCode
    readout: Neuron
    observers: tuple[Observer, ...] = ()
    factor_observers: tuple[FactorObserver, ...] = ()
    sink: UpdateSink | None = None
    learning: bool = True
    present: Tensor | None = None


class LayerCall:
    """One call of one layer under one rule.

    Args:
        layer: The layer.
        index: Position of the layer in the graph; a recurrent connection has the next one.
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
        self._bias_factors: list[float] | None = None
        self._recurrent_pre: Tensor | None = None
        self._arriving: Tensor | None = None
        mirrors = context.learning and context.feedback.mirrors and index + 1 in context.feedback.senders
        self._responses: list[Tensor] | None = [] if mirrors and layer.recurrent is not None else None
        self._eligible: Tensor | None = None
        self._saved = SavedTensors()
        self._stored = 0

    def __call__(self, signal: Signal) -> Tensor:
        """The layer's activity for a signal at its synapses, recorded by autograd."""
        layer, recurrent = self._layer, self._layer.recurrent
        steps = signal.steps if isinstance(signal, Static) else None
        synapses = [layer.weight, layer.bias]
        synapses += [None, None] if recurrent is None else [recurrent.weight, recurrent.bias]
        learned = layer.neuron.learned()
        activity: Tensor = _LayerFunction.apply(
            self, steps, tuple(learned), tensor_of(signal), *synapses, *learned.values()
        )
        if self._context.observers and activity.requires_grad:
            self._report_stored()
        return layer.pooled(activity) if self._saved.pool is None else activity

    def forward(
        self,
        signal: Signal,
        weight: Tensor,
        bias: Tensor | None,
        recurrent_weight: Tensor | None,
        recurrent_bias: Tensor | None,
    ) -> Tensor:
        """Activity of the layer, (T, B, features...) or (B, features...); saves what `backward` needs."""
        layer, neuron, context = self._layer, self._layer.neuron, self._context

        def product(inputs: Tensor) -> Tensor:
            drive = layer.synapse.apply(inputs, weight, bias)
            self._report(layer, "forward", inputs.shape, drive.shape, inputs, None)
            return drive

        synaptic_input = neuron.synaptic_input(signal)
        drive = layer.drive(synaptic_input, product)
        state = self._state or StreamState()
        if isinstance(synaptic_input, Static):
            self._pre = synaptic_input.image
            factors = context.temporal.static_factors(synaptic_input.steps, neuron, state.static_trace)
            self._factors, state.static_trace = factors
        else:
            self._pre, state.trace = context.temporal.presynaptic(synaptic_input, neuron, state.trace)
        steps = len(expanded(synaptic_input))
        self._bias_factors, state.bias_trace = context.temporal.bias_factors(steps, neuron, state.bias_trace)
        if context.learning:
            drive = context.feedback.at_drive(self._index, drive)
        updates = expanded(drive).numel()
        if layer.recurrent is None:
            activity, self._saved, state.neurons = neuron.run(drive, state.neurons, layer.fused_pool(drive))
        else:
            assert recurrent_weight is not None
            activity = self._recur(layer.recurrent, expanded(drive), state, recurrent_weight, recurrent_bias)
        state.post_trace = context.temporal.postsynaptic(neuron, activity, self._saved, state.post_trace)
        if self._state is not None:
            self._advance_synapses(expanded(synaptic_input), activity, self._state)
        if context.learning:
            context.feedback.fired(self._index, activity, neuron.probability(self._saved))
            if self._responses and len(activity) > 1:
                context.feedback.recurred(self._index + 1, torch.stack(self._responses[-len(activity) + 1 :]))
        for observer in context.observers:
            observer.fired(layer.name, updates, lambda: neuron.spikes(activity, self._saved.pool or 1), neuron.states)
        return activity

    def _advance_synapses(self, pre: Tensor, activity: Tensor, state: StreamState) -> None:
        """Advances the eligibility of each synapse by one step of a stream, if the rule needs one."""
        layer, context = self._layer, self._context
        filters = context.temporal.filters(context.readout) if self._depth else ()
        if not filters and context.temporal.factorizes(layer.neuron):
            return
        if context.sink is not None:
            raise UnsupportedError(
                f"layer {layer.name!r} has a state per synapse in a stream, and {type(context.sink).__name__} takes "
                "updates as two factors; use rule.forward on whole sequences, or an optimizer"
            )
        state.synapses = state.synapses or SynapseStates(layer, filters)
        self._eligible = state.synapses.advance(pre, self._arriving, activity, self._saved)
        for synapses in (layer, *((layer.recurrent,) if layer.recurrent else ())):
            ones = torch.ones(activity.shape[1], *synapses.synapse.field()[1])
            post = torch.ones_like(activity[0])
            for _ in range(state.synapses.states):
                self._report(synapses, "eligibility", ones.shape, post.shape, ones, post)

    def _recur(
        self, recurrent: SynapticLayer, drive: Tensor, state: StreamState, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        """Activity of neurons with a recurrent connection, (T, B, features...)."""
        before, product = state.activity, RecurrentProduct(recurrent.synapse, weight, bias, self._responses)
        given = drive.contiguous() if drive.stride(0) else drive.clone()  # a static drive is one step for all
        activity, self._saved, state.neurons = recur(recurrent.neuron, given, product, state.neurons, before)
        state.activity = activity[-1]
        arriving = self._arriving = delayed(activity, before)
        rows = fold_time(arriving)
        self._report(recurrent, "forward", rows.shape, rows.shape, rows, None)
        temporal = self._context.temporal
        self._recurrent_pre, state.recurrent_trace = temporal.presynaptic(
            arriving, recurrent.neuron, state.recurrent_trace
        )
        return activity

    def backward(self, error: Tensor, learned: tuple[str, ...], needs: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
        """Gradients for the signal, weight and bias, recurrent weight and bias, and the neurons' learned constants."""
        layer, neuron, context = self._layer, self._layer.neuron, self._context
        for factor_observer in context.factor_observers:
            factors = three_factors(neuron, self._pre, self._factors, error, self._saved)
            factor_observer.update(layer.name, factors)
        if self._eligible is not None:
            return self._backward_eligible(error, self._eligible, needs)
        for_signal = None
        unit, through_time = context.code.unit(error.shape, self._depth), context.temporal.through_time
        sums = self._factors is not None and context.code.exact and context.temporal.plain(neuron)
        if sums and not needs[0] and layer.recurrent is None:
            assert self._factors is not None
            summed = neuron.backward_sums(error, self._saved, self._factors, through_time=through_time)
            pre, (delta_sum, bias_rows) = self._pre, summed
            bias_rows = bias_rows if self._bias_factors is None else delta_sum  # of the same factors
            for_recurrent: tuple[Tensor | None, Tensor | None] = (None, None)
        else:
            delta, sent = self._errors_at_drive(error, sends=needs[0])
            delta = context.code.carry(delta, self._depth)  # (K, B, ...)
            bias_rows = self._bias_rows(delta)
            if needs[0]:
                for_signal = self._send_down(delta if sent is None else context.code.carry(sent, self._depth))
            if self._factors is None:
                pre, delta_sum = context.temporal.update_rows(self._pre, delta, context.present)
            else:
                pre, delta_sum = self._pre, weighted_sum(delta, self._factors)
            for_recurrent = self._update_recurrent(delta, unit, needs[3:5])
        for_weight = self._update(layer, self._index, pre, delta_sum, unit) if needs[1] else None
        for_bias = layer.synapse.bias_update(bias_rows) if needs[2] and context.sink is None else None
        self._release()
        constants = (self._saved.values.pop(f"{name}_error") for name in learned)
        return for_signal, for_weight, for_bias, *for_recurrent, *constants

    def _backward_eligible(self, error: Tensor, eligible: Tensor, needs: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
        """The gradients of `backward` from the eligibility (B, out, inputs) of each synapse, in a step of a stream."""
        layer, recurrent, code = self._layer, self._layer.recurrent, self._context.code
        update = torch.einsum("bo,boi->oi", error[0], eligible)
        *updates, for_recurrent = split(update, self._pre.shape[-1])
        for synapses in (layer, *((recurrent,) if recurrent else ())):
            ones = torch.ones(error.shape[1], *synapses.synapse.field()[1])
            self._report(synapses, "update", ones.shape, error[0].shape, ones, error[0])
        for_signal = None
        if needs[0]:
            sent = layer.neuron.backward_local(error, self._saved)
            for_signal = self._send_down(code.carry(sent, self._depth))
        self._release()
        biases = updates[1], None if recurrent is None else updates[1].clone()
        given = (updates[0], biases[0], for_recurrent, biases[1])
        return for_signal, *(value if needed else None for value, needed in zip(given, needs[1:5], strict=True))

    def _release(self) -> None:
        for observer in self._context.observers:
            observer.stored(self._layer.name, -self._stored)

    def _errors_at_drive(self, error: Tensor, *, sends: bool) -> tuple[Tensor, Tensor | None]:
        """Errors at the drive (K, B, features...), by the rule's temporal credit.

        The first is for the update, the second is sent down; None where that is the same.
        """
        recurrent, feedback, neuron = self._layer.recurrent, self._context.feedback, self._layer.neuron
        index = self._index + 1
        if recurrent is None or index not in feedback.senders:
            delta, sent = self._context.temporal.errors(neuron, error, self._saved, sends=sends)
            return delta, None if sent is delta else sent
        weight, synapse = feedback.weight(index), recurrent.synapse

        def received(delta: Tensor) -> Tensor:
            return synapse.backward_input(delta, weight, delta.shape)

        delta = recur_back(neuron, error, self._saved, received)
        if len(delta) > 1:
            sent = fold_time(delta[1:])
            self._report(recurrent, "backward", sent.shape, sent.shape, None, sent)
        return delta, None

    def _update_recurrent(
        self, delta: Tensor, unit: float | None, needs: tuple[bool, ...]
    ) -> tuple[Tensor | None, Tensor | None]:
        """Gradients for the weight and bias of the recurrent connection, if there is one."""
        recurrent, context = self._layer.recurrent, self._context
        if recurrent is None:
            return None, None
        assert self._recurrent_pre is not None
        for_weight = for_bias = None
        if needs[0]:
            pre, rows = context.temporal.update_rows(self._recurrent_pre, delta, context.present)
            for_weight = self._update(recurrent, self._index + 1, pre, rows, unit)
        if needs[1] and context.sink is None:
            for_bias = recurrent.synapse.bias_update(self._bias_rows(delta))
        return for_weight, for_bias

    def _bias_rows(self, delta: Tensor) -> Tensor:
        """The rows (N, features...) whose sum is the bias's update."""
        return fold_time(delta) if self._bias_factors is None else weighted_sum(delta, self._bias_factors)

    def _update(
        self, layer: SynapticLayer, index: int, pre: Tensor, delta: Tensor, unit: float | None
    ) -> Tensor | None:
        """Gradient of the weights of a layer or of its recurrent connection; None where a sink takes the update."""
        context, gradient = self._context, None
        if context.sink is None:
            gradient = layer.synapse.weight_grad(pre, delta)
        else:
            context.sink.take(layer, pre, delta, unit)
        self._report(layer, "update", pre.shape, delta.shape, pre, delta)
        if context.feedback.twin and index in context.feedback.senders:  # never with a sink
            self._report(layer, "feedback_update", pre.shape, delta.shape, pre, delta)
        return gradient

    def _send_down(self, delta: Tensor) -> Tensor:
        neuron = self._layer.neuron
        sent = neuron.error_sent(delta)
        weight = self._context.feedback.weight(self._index)
        shape = torch.Size((sent.shape[0] * sent.shape[1], *self._pre.shape[2:]))
        post = fold_time(sent)
        received = self._layer.synapse.backward_input(post, weight, shape)
        self._report(self._layer, "backward", shape, post.shape, None, post)
        return neuron.error_received(received.unflatten(0, sent.shape[:2]), self._pre)

    def _report(
        self,
        layer: SynapticLayer,
        kind: ProductKind,
        inputs: torch.Size,
        outputs: torch.Size,
        pre: Tensor | None,
        post: Tensor | None,
    ) -> None:
        if not self._context.observers:
            return
        # An error passes through one part of the signal only, for example the spike times.
        parts = layer.neuron.signal.parts if pre is not None else 1
        product = SynapticProduct(layer.synapse, inputs, outputs, pre, post, parts)
        for observer in self._context.observers:
            observer.product(layer.name, kind, product)

    def _report_stored(self) -> None:
        tensors = [self._pre, self._recurrent_pre, *self._saved.values.values()]
        if self._state is not None:
            state = self._state
            traces = (*(state.trace or ()), *(state.recurrent_trace or ()), *(state.post_trace or ()))
            tensors += [*(state.neurons or ()), *traces, state.activity]
            self._stored = 0 if state.synapses is None else state.synapses.numel()
        self._stored += sum(tensor.numel() for tensor in tensors if isinstance(tensor, Tensor))
        for observer in self._context.observers:
            observer.stored(self._layer.name, self._stored)


class _LayerFunction(torch.autograd.Function):
    """Forwards autograd's calls to the `LayerCall`."""

    @staticmethod
    def forward(
        ctx: Any,
        call: LayerCall,
        steps: int | None,
        learned: tuple[str, ...],
        signal: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        recurrent_weight: Tensor | None,
        recurrent_bias: Tensor | None,
        *_: Tensor,
    ) -> Tensor:
        ctx.call, ctx.learned = call, learned
        whole = signal if steps is None else Static(signal, steps)
        return call.forward(whole, weight, bias, recurrent_weight, recurrent_bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, None, *ctx.call.backward(error, ctx.learned, ctx.needs_input_grad[3:])
