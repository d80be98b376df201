"""One stage of a network as autograd sees it: the only place in which a rule acts.

Forward it is synapse, neurons and pool in one. Backward it fills the gradients from the rule's own factors,
and sends down what the rule's feedback sends, which need not be a derivative of anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from onchip.kernels.lif import weighted_sum
from onchip.learning.interfaces import (
    DirectFeedback,
    ErrorCode,
    Feedback,
    LayerwiseFeedback,
    Listening,
    Observer,
    ProductKind,
    Temporal,
    UpdateSink,
)
from onchip.learning.three_factors import FactorObserver, three_factors
from onchip.nn.graph_builder import SynapticLayer
from onchip.nn.neurons.base import Tape
from onchip.nn.signals import Signal, Static
from onchip.nn.synapses.product import SynapticProduct

__all__ = ["LayerCall", "RuleContext", "StreamState"]


@dataclass
class StreamState:
    """What a stage keeps from one chunk of a stream to the next; empty at the start.

    Args:
        membrane: the neurons' state, (B, features...).
        trace: the presynaptic factor at the last step, (B, features...), for a signal over time.
        static_trace: the same for a static signal, as a factor of the image.
    """

    membrane: Tensor | None = None
    trace: Tensor | None = None
    static_trace: float = 0.0


@dataclass(frozen=True)
class RuleContext:
    """What a rule is made of, and who is told of its work.

    Args:
        feedback: which error arrives at a synapse's input.
        temporal: what of the past counts.
        code: what carries errors.
        observers: who looks on.
        receiver: who takes updates in place of `.grad`; None for nobody.
        learning: whether this forward pass may teach feedback.
        witnesses: who is shown the factors of every update.
    """

    feedback: Feedback
    temporal: Temporal
    code: ErrorCode
    observers: tuple[Observer, ...] = ()
    receiver: UpdateSink | None = None
    learning: bool = True
    witnesses: tuple[FactorObserver, ...] = ()


class LayerCall:
    """One call of one stage under one rule.

    Args:
        stage: synapses and neurons.
        index: of the stage, from 0.
        depth: stages between this one and the output.
        rule: what the rule is made of.
        carry: what earlier chunks of a stream left behind; None outside of streams.
    """

    def __init__(
        self, stage: SynapticLayer, index: int, depth: int, rule: RuleContext, carry: StreamState | None
    ) -> None:
        self._stage = stage
        self._index = index
        self._depth = depth
        self._feedback = rule.feedback
        self._listener = rule.feedback if rule.learning and isinstance(rule.feedback, Listening) else None
        inside = rule.learning and depth and isinstance(rule.feedback, DirectFeedback) and rule.feedback.inside
        self._prober = rule.feedback if inside and isinstance(rule.feedback, DirectFeedback) else None
        self._temporal = rule.temporal
        self._code = rule.code
        self._observers = rule.observers
        self._receiver = rule.receiver
        self._witnesses = rule.witnesses
        self._carry = carry
        self._pre: Tensor = torch.empty(0)
        self._factors: list[float] | None = None
        self._tape = Tape()
        self._kept = 0

    def __call__(self, signal: Signal) -> Tensor:
        """The stage's activity for what arrives at its synapses, with the rule on autograd's tape."""
        neuron, layer = self._stage.neuron, self._stage
        decay = None if neuron.decay_parameter is None else torch.sigmoid(neuron.decay_parameter)
        steps = signal.steps if isinstance(signal, Static) else None
        tensor = signal.image if isinstance(signal, Static) else signal
        activity: Tensor = _LayerFunction.apply(tensor, layer.weight, layer.bias, decay, self, steps)
        if self._observers and activity.requires_grad:
            self._tell_kept()
        return self._stage.pooled(activity) if self._tape.pool is None else activity

    def forward(self, signal: Signal, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Activity of the stage, (T, B, features...) or (B, features...); keeps what `backward` needs."""
        stage, neuron = self._stage, self._stage.neuron
        planes = neuron.planes(signal)
        static = isinstance(planes, Static)
        folded = planes.image if isinstance(planes, Static) else planes.flatten(0, 1)  # (K·B, ...)
        stage.synapse.check(stage.name, folded.shape)
        drive = stage.synapse.apply(folded, weight, bias)
        self._tell("forward", folded.shape, drive.shape, pre=folded)
        carry = self._carry or StreamState()
        if isinstance(planes, Static):
            self._pre = planes.image
            self._factors = self._temporal.static_factors(planes.steps, neuron, carry.static_trace)
            held: Tensor | Static = Static(drive, planes.steps)
        else:
            self._pre = self._temporal.presynaptic(planes, neuron, carry.trace)
            held = drive = drive.unflatten(0, planes.shape[:2])
            if self._listener is not None and self._index:
                self._listener.driven(self._index, drive)
        if self._prober is not None:
            held = self._prober.receive(self._index + 1, held.expand() if isinstance(held, Static) else held)
        activity, self._tape, membrane = neuron.run(held, carry.membrane, stage.fused_pool(drive.shape))
        if self._listener is not None and "probability" in self._tape.values:
            self._listener.emitted(self._index, activity - self._tape.values["probability"])
        self._tell_fired(held.expand().numel() if isinstance(held, Static) else held.numel(), activity)
        if self._carry is not None:
            carry.membrane = membrane
            if static:
                assert self._factors is not None
                carry.static_trace = self._factors[-1]
            else:
                carry.trace = self._pre[-1]
        return activity

    def backward(
        self, error: Tensor, needs: tuple[bool, ...]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]:
        """Gradients for the signal, the weight, the bias and the neurons' decay."""
        synapse, neuron = self._stage.synapse, self._stage.neuron
        for witness in self._witnesses:
            factors = three_factors(neuron, self._pre, self._factors, error, self._tape)
            witness.witnessed(self._stage.name, factors)
        for_signal = for_weight = for_bias = None
        unit = self._code.unit(error.shape, self._depth)
        if self._factors is not None and unit is None and not needs[0]:
            pre, (credit, biased) = self._pre, self._temporal.sums(neuron, error, self._tape, self._factors)
        else:
            delta = self._code.carry(self._temporal.error(neuron, error, self._tape), self._depth)  # (K, B, ...)
            biased = delta.flatten(0, 1)
            if needs[0]:
                for_signal = self._sent_down(delta)
            if self._factors is None:
                pre, credit = self._temporal.met(self._pre, delta)
            else:
                pre, credit = self._pre, weighted_sum(delta, self._factors)
        if needs[1] and self._receiver is not None:
            self._receiver.take(self._stage, pre, credit, unit)
            self._tell("update", pre.shape, credit.shape, pre, credit)
        elif needs[1]:
            for_weight = synapse.weight_grad(pre, credit)
            self._tell("update", pre.shape, credit.shape, pre, credit)
            if self._feedback.twin and self._index:
                self._tell("learn", pre.shape, credit.shape, pre, credit)
        if needs[2] and self._receiver is None:
            for_bias = synapse.bias_update(biased)
        for observer in self._observers:
            observer.kept(self._stage.name, -self._kept)
        return for_signal, for_weight, for_bias, self._tape.values.pop("decay_error", None)

    def _sent_down(self, delta: Tensor) -> Tensor:
        assert isinstance(self._feedback, LayerwiseFeedback), "direct feedback cuts the path on which this is asked"
        sent = self._stage.neuron.sent(delta)
        weight = self._feedback.weight(self._index)
        shape = torch.Size((sent.shape[0] * sent.shape[1], *self._pre.shape[2:]))
        post = sent.flatten(0, 1)
        pulled = self._stage.synapse.backward_input(post, weight, shape)
        self._tell("pull", shape, post.shape, post=post)
        return self._stage.neuron.arrive(pulled.unflatten(0, sent.shape[:2]), self._pre)

    def _tell(
        self,
        kind: ProductKind,
        inputs: torch.Size,
        outputs: torch.Size,
        pre: Tensor | None = None,
        post: Tensor | None = None,
    ) -> None:
        if not self._observers:
            return
        # That a neuron fired and when it did are two things; an error goes down by one of them alone.
        planes = 2 if self._stage.neuron.signal == "times" and kind != "pull" else 1
        met = SynapticProduct(self._stage.synapse, inputs, outputs, pre, post, planes)
        for observer in self._observers:
            observer.product(self._stage.name, kind, met)

    def _tell_fired(self, updates: int, activity: Tensor) -> None:
        for observer in self._observers:
            observer.fired(self._stage.name, updates, lambda: self._stage.neuron.spikes(activity, self._tape.pool or 1))

    def _tell_kept(self) -> None:
        held = [self._pre, *self._tape.values.values()]
        if self._carry is not None:
            held += [tensor for tensor in (self._carry.membrane, self._carry.trace) if tensor is not None]
        self._kept = sum(tensor.numel() for tensor in held)
        for observer in self._observers:
            observer.kept(self._stage.name, self._kept)


class _LayerFunction(torch.autograd.Function):
    """Hands autograd's calls on to the island."""

    @staticmethod
    def forward(
        ctx: Any,
        signal: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        decay: Tensor | None,
        island: LayerCall,
        steps: int | None,
    ) -> Tensor:
        ctx.island = island
        return island.forward(signal if steps is None else Static(signal, steps), weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        return (*ctx.island.backward(error, ctx.needs_input_grad), None, None)
