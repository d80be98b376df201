"""One call of a synaptic layer as an autograd function: the only place in which a rule acts.

The forward pass computes synapses, neurons and pool. The backward pass computes gradients from the rule's own factors,
and sends down the error of the rule's feedback, which need not be a derivative.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from onchip.errors import UnsupportedError
from onchip.kernels.lif import weighted_sum
from onchip.learning.context import RuleContext, StreamState
from onchip.learning.eligibility import SynapseStates, split
from onchip.learning.recomputation import Kept
from onchip.learning.recurrent_call import RecurrentCall
from onchip.learning.three_factors import three_factors
from onchip.learning.updates import Synapses
from onchip.nn.graph import SynapticLayer
from onchip.nn.neurons.base import SavedTensors
from onchip.nn.signals import Signal, Static, expanded, fold_time, mapped, tensor_of

Parameters = tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]
"""Weight and bias of a layer's synapses, then those of its recurrent connection."""


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
        self._synapses = Synapses(layer, index, context)
        self._recurrent = None if layer.recurrent is None else RecurrentCall(layer.recurrent, index + 1, context)
        self._filters = self._filters_of_states()
        self._eligible: Tensor | None = None
        self._saved = SavedTensors()
        self._stored = 0
        self._recomputes = context.recompute and state is None and torch.is_grad_enabled()
        self._kept: Kept | None = None
        self._parameters: Parameters | None = None

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

    def forward(self, signal: Signal, parameters: Parameters) -> Tensor:
        """Activity of the layer, (T, B, features...) or (B, features...); saves what `backward` needs."""
        context, neuron = self._context, self._layer.neuron
        if not self._recomputes:
            return self._run(signal, parameters, again=False)
        # The input of the network is there anyway, and under direct feedback that of each layer.
        packed = self._index > 0 and not context.feedback.direct
        self._kept, self._parameters = Kept(signal, packed=packed, draws=neuron.draws()), parameters
        activity = self._run(signal, parameters, again=False)
        self.forget()
        return activity

    def forget(self) -> None:
        """Drops what a forward pass has stored, which autograd would keep until the whole backward pass ends."""
        self._saved, self._pre = SavedTensors(pool=self._saved.pool), torch.empty(0)
        if self._recurrent is not None:
            self._recurrent.forget()

    def _recompute(self) -> None:
        """Computes again what `backward` needs; feedback learns nothing from it, and neurons send nothing."""
        if self._kept is not None:
            assert self._parameters is not None
            kept, self._kept = self._kept, None
            self._release()
            with kept.again() as signal:
                self._run(signal, self._parameters, again=True)
            self._report_stored()

    def _run(self, signal: Signal, parameters: Parameters, *, again: bool) -> Tensor:
        layer, neuron, context = self._layer, self._layer.neuron, self._context
        weight, bias, recurrent_weight, recurrent_bias = parameters

        def product(inputs: Tensor) -> Tensor:
            drive = layer.synapse.apply(inputs, weight, bias)
            self._synapses.report("forward", inputs.shape, drive.shape, inputs, None)
            return drive

        synaptic_input = neuron.synaptic_input(signal)
        drive = layer.drive(synaptic_input, product)
        if not self._in_bfloat16():
            drive = mapped(lambda narrow: narrow.to(torch.promote_types(narrow.dtype, weight.dtype)), drive)
        state = self._state or StreamState()
        if self._filters is None:
            self._take_factors(synaptic_input, state)
        else:  # whose states stand for the traces of all inputs
            self._pre = tensor_of(synaptic_input)
        if context.learning and not again:
            drive = context.feedback.at_drive(self._index, drive)
        updates = expanded(drive).numel()
        if self._recurrent is None:
            activity, self._saved, state.neurons = neuron.run(drive, state.neurons, layer.fused_pool(drive))
        else:
            assert recurrent_weight is not None
            activity, self._saved = self._recurrent.run(expanded(drive), state, recurrent_weight, recurrent_bias)
            if self._filters is None:
                self._recurrent.take_factor(state)
        state.post_trace = context.temporal.postsynaptic(neuron, activity, self._saved, state.post_trace)
        if self._filters is not None:
            self._advance_synapses(expanded(synaptic_input), activity, state, self._filters)
        if again:
            for observer in context.observers:
                observer.recomputed(layer.name, updates, neuron.states)
            return activity
        if context.learning:
            context.feedback.fired(self._index, activity, neuron.probability(self._saved))
            if self._recurrent is not None:
                self._recurrent.mirror(len(activity))
        for observer in context.observers:
            observer.fired(layer.name, updates, lambda: neuron.spikes(activity, self._saved.pool or 1), neuron.states)
        return activity

    def _in_bfloat16(self) -> bool:
        """Whether a drive in bfloat16 stays so, and with it activity and errors.

        A stream would round its traces at every step; noise at the drive, and the sums of an error code, may be smaller
        than what is rounded off.
        """
        context = self._context
        summed = context.sink is not None or not context.code.exact or context.feedback.at_neurons
        alone = self._state is None and self._recurrent is None
        return alone and not summed and self._layer.neuron.takes_bfloat16()

    def _take_factors(self, synaptic_input: Signal, state: StreamState) -> None:
        """Computes the presynaptic factor of the update, and that of the bias."""
        temporal, neuron, sink = self._context.temporal, self._layer.neuron, self._context.sink
        if isinstance(synaptic_input, Static) and sink is not None and sink.per_step:
            synaptic_input = expanded(synaptic_input).contiguous()
        if isinstance(synaptic_input, Static):
            self._pre = synaptic_input.image
            factors = temporal.static_factors(synaptic_input.steps, neuron, state.static_trace)
            self._factors, state.static_trace = factors
        else:
            self._pre, state.trace = temporal.presynaptic(synaptic_input, neuron, state.trace)
        steps = len(expanded(synaptic_input))
        self._bias_factors, state.bias_trace = temporal.bias_factors(steps, neuron, state.bias_trace)

    def _filters_of_states(self) -> Sequence[float] | None:
        """Leaky filters of the read-out over a state per synapse; None where the rule needs no such states."""
        layer, context = self._layer, self._context
        filters = context.temporal.filters(context.readout) if self._depth else ()
        if self._state is None or not (filters or not context.temporal.factorizes(layer.neuron)):
            return None
        takers = [] if context.sink is None else [context.sink]
        for taker in (*takers, *context.factor_observers):
            raise UnsupportedError(
                f"layer {layer.name!r} has a state per synapse in a stream, and {type(taker).__name__} takes "
                "updates as factors; use rule.forward on whole sequences, or an optimizer"
            )
        return filters

    def _advance_synapses(self, pre: Tensor, activity: Tensor, state: StreamState, filters: Sequence[float]) -> None:
        """Advances the eligibility of each synapse by one step of a stream."""
        layer = self._layer
        state.synapses = state.synapses or SynapseStates(layer, filters)
        arriving = None if self._recurrent is None else self._recurrent.arriving
        self._eligible = state.synapses.advance(pre, arriving, activity, self._saved)
        for synapses in self._all_synapses:
            # One multiplication by ψ, and one by the decay of each state.
            synapses.report_all("eligibility", torch.ones_like(activity[0]), 1 + state.synapses.states)

    @property
    def _all_synapses(self) -> list[Synapses]:
        return [self._synapses] + ([] if self._recurrent is None else [self._recurrent.synapses])

    def backward(self, error: Tensor, learned: tuple[str, ...], needs: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
        """Gradients for the signal, weight and bias, recurrent weight and bias, and the neurons' learned constants."""
        layer, neuron, context = self._layer, self._layer.neuron, self._context
        for watching in context.observers:
            watching.arrived(layer.name, error)
        self._recompute()
        for observer in context.factor_observers:
            if self._recurrent is not None:
                self._recurrent.report_factors(observer, error, self._saved)
            observer.update(layer.name, three_factors(neuron, self._pre, self._factors, error, self._saved))
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
            for_recurrent = (None, None)
            if self._recurrent is not None:
                bias_delta = None if self._bias_factors is None else bias_rows
                for_recurrent = self._recurrent.update(delta, bias_rows, unit, needs[3:5], bias_delta)
        # A constant input has its own factor at each step, which is that of a bias only where the factor is 1.
        as_weights = self._bias_factors is None and all(factor == 1.0 for factor in self._factors or ())
        bias_delta = None if as_weights else bias_rows
        for_weight = self._synapses.update(pre, delta_sum, unit, bias_delta) if needs[1] else None
        for_bias = layer.synapse.bias_update(bias_rows) if needs[2] and context.sink is None else None
        self._release()
        constants = (self._saved.values.pop(f"{name}_error") for name in learned)
        return for_signal, for_weight, for_bias, *for_recurrent, *constants

    def _backward_eligible(self, error: Tensor, eligible: Tensor, needs: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
        """The gradients of `backward` from the eligibility (B, out, inputs) of each synapse, in a step of a stream."""
        layer, code = self._layer, self._context.code
        update = torch.einsum("bo,boi->oi", error[0], eligible)
        *updates, for_recurrent = split(update, self._pre.shape[-1])
        for synapses in self._all_synapses:
            synapses.report_all("update", error[0])
        for_signal = None
        if needs[0]:
            sent = layer.neuron.backward_local(error, self._saved)
            for_signal = self._send_down(code.carry(sent, self._depth))
        self._release()
        given = (*updates, for_recurrent, updates[1].clone())
        return for_signal, *(value if needed else None for value, needed in zip(given, needs[1:5], strict=True))

    def _release(self) -> None:
        for observer in self._context.observers:
            observer.stored(self._layer.name, -self._stored)

    def _errors_at_drive(self, error: Tensor, *, sends: bool) -> tuple[Tensor, Tensor | None]:
        """Errors at the drive (K, B, features...), by the rule's temporal credit.

        The first is for the update, the second is sent down; None where that is the same.
        """
        if self._recurrent is not None and self._recurrent.sends:
            return self._recurrent.error(error, self._saved), None
        delta, sent = self._context.temporal.errors(self._layer.neuron, error, self._saved, sends=sends)
        return delta, None if sent is delta else sent

    def _bias_rows(self, delta: Tensor) -> Tensor:
        """The rows (N, features...) whose sum is the bias's update."""
        return fold_time(delta) if self._bias_factors is None else weighted_sum(delta, self._bias_factors)

    def _send_down(self, delta: Tensor) -> Tensor:
        neuron = self._layer.neuron
        sent = neuron.error_sent(delta)
        weight = self._context.feedback.weight(self._index)
        shape = torch.Size((sent.shape[0] * sent.shape[1], *self._pre.shape[2:]))
        post = fold_time(sent)
        received = self._layer.synapse.backward_input(post, weight, shape)
        self._synapses.report("backward", shape, post.shape, None, post)
        return neuron.error_received(received.unflatten(0, sent.shape[:2]).to(self._pre.dtype))

    def _report_stored(self) -> None:
        self._stored = 0 if self._kept is None else self._kept.scalars
        tensors: list[Tensor | None] = [self._pre, *self._saved.values.values()]
        if self._recurrent is not None:
            tensors.append(self._recurrent.pre)
        if self._state is not None:
            state = self._state
            traces = (*(state.trace or ()), *(state.recurrent_trace or ()), *(state.post_trace or ()))
            tensors += [*(state.neurons or ()), *traces, state.activity]
            self._stored += 0 if state.synapses is None else state.synapses.numel()
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
        return call.forward(whole, (weight, bias, recurrent_weight, recurrent_bias))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        gradients = ctx.call.backward(error, ctx.learned, ctx.needs_input_grad[3:])
        ctx.call.forget()
        return None, None, None, *gradients
