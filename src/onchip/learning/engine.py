"""Forward and backward passes of one network under a rule."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor, nn

from onchip.learning.context import RuleContext, StreamState
from onchip.learning.describing import describe
from onchip.learning.description import RuleDescription
from onchip.learning.feedback.base import Feedback, LossSignals
from onchip.learning.forward_pass import ForwardPass
from onchip.learning.loss_boundary import LossBoundary
from onchip.learning.noise import Added
from onchip.learning.observers import FactorObserver, Observer, UpdateSink
from onchip.learning.padding import present_steps, with_target
from onchip.learning.ranks import Ranks
from onchip.learning.refusals import (
    refuse_coded_recurrence,
    refuse_computed_weights,
    refuse_factors,
    refuse_other_device,
    refuse_padding,
    refuse_recomputation,
    refuse_sink,
    refuse_stream,
)
from onchip.learning.silent_layers import CHECK_EVERY, SilentLayers
from onchip.learning.targets import TargetErrors
from onchip.learning.unchanged import Unchanged
from onchip.nn.graph import LayerGraph, SynapticLayer
from onchip.nn.neurons.base import Neuron
from onchip.nn.signals import Signal, tensor_of
from onchip.nn.synapses.base import Synapse
from onchip.nn.synapses.bfloat16 import BackwardBFloat16Synapse, BFloat16Synapse, warn_if_emulated


@dataclass
class Engine:
    """Runs a network forward and backward with the parts of a rule.

    Args:
        name: Name of the rule, for messages.
        graph: The network.
        context: The parts of the rule, and its observers.
        noise: Noise added in training to the input of each layer but the first, as a control; None for none.

    Raises:
        UnsupportedError: The feedback shares the weights' updates, but some weights are computed from parameters.
    """

    name: str
    graph: LayerGraph
    context: RuleContext
    noise: Added | None
    boundary: LossBoundary = field(init=False)
    bfloat16: bool = field(init=False, default=False)
    _silent_layers: SilentLayers = field(init=False)
    _unchanged: Unchanged = field(init=False)

    def __post_init__(self) -> None:
        self.feedback = self.context.feedback
        if self.feedback.twin:
            refuse_computed_weights(self.name, self.graph, "gives weights and feedback one update")
        if self.feedback.at_neurons:
            self.graph = self.graph.unpooled()
        self.boundary = LossBoundary(self.name)
        self._silent_layers = SilentLayers(self.name)
        self._inform_feedback()
        refuse_coded_recurrence(self.name, self.graph, self.feedback, self.context.code)
        with torch.no_grad():
            self.feedback.attach()

    def describe(self) -> RuleDescription:
        """What the rule does at each synapse."""
        return describe(self.name, self.graph, self.context, noise=self.noise is not None)

    def forward(
        self, signal: Signal, states: list[StreamState] | None, *, training: bool, lengths: Tensor | None = None
    ) -> Tensor:
        """Output for a signal with padding beyond its lengths, or for one step of a stream, which updates `states`."""
        learning = training and torch.is_grad_enabled()
        if self.context.ranks.size == 1 or tensor_of(signal).numel():  # a last batch may leave a process no sample
            self.graph.check(signal)
        refuse_other_device(self.name, self.feedback, tensor_of(signal).device)
        present = None
        if lengths is not None:
            present = present_steps(self.name, signal, lengths, self.graph.kind, self.context.ranks)
        if present is not None:
            refuse_padding(self.name, self.context.temporal)
        context = replace(self.context, learning=learning, present=present)
        # One step of a stream says little about firing rates.
        checked = learning and states is None and self.graph.kind.rates and self.boundary.passes % CHECK_EVERY == 0
        silent_layers = self._silent_layers if checked else None
        if torch.is_grad_enabled():  # else no backward pass can follow
            self._unchanged = Unchanged(self.graph.layers)
            self.feedback.mark(present)
        run = ForwardPass(self.name, self.graph, context, self.noise, states, silent_layers)
        with self.context.ranks.apart():
            return self.boundary.expose(run(signal), run.hidden, self.feedback)

    def backward(self, loss: Tensor, samples: Tensor | None, targets: Tensor | None, share: float) -> None:
        """Computes the gradients of the weights and of the feedback from the loss."""
        with self.context.ranks.apart():
            self._backward(loss, samples, targets, share)

    def _backward(self, loss: Tensor, samples: Tensor | None, targets: Tensor | None, share: float) -> None:
        names = [layer.name for layer in self.graph.layers]
        projection = TargetErrors(self.name, targets, share) if self.feedback.by_target else None
        pending, signals = self.boundary.receive(loss, samples, names, projection)
        self._unchanged.require(self.name)
        present = self.feedback.present if targets is None else with_target(targets)
        if present is None and self.context.ranks.size > 1 and pending.exposed.dim() == 3:
            present = torch.ones(pending.exposed.shape[:2], dtype=torch.bool)  # whose number differs between processes
        self.context.code.mean_over(present, share)
        errors = {pending.output: signals.error} if pending.output.requires_grad else {}
        with torch.no_grad():
            signals = self._filtered(signals) if self.feedback.direct else signals
            for index, activity in pending.hidden.items():
                if activity.requires_grad:
                    errors[activity] = self.feedback.project(signals, index, activity)
        torch.autograd.backward(list(errors), list(errors.values()))
        with torch.no_grad():
            self.feedback.learn()

    def _filtered(self, signals: LossSignals) -> LossSignals:
        """The signals with what direct feedback sends of them under the rule's temporal credit."""
        temporal, readout = self.context.temporal, self.context.readout
        targets = None if signals.targets is None else temporal.learning_signal(signals.targets, readout)
        return replace(signals, sent=temporal.learning_signal(signals.error, readout), targets=targets)

    def step(self) -> None:
        """Refreshes the feedback after the optimizer's step."""
        ranks = self.context.ranks
        if not ranks.first:  # all processes do alike what follows, and the first one reports it
            self._inform_feedback(())
        with torch.no_grad():
            self.feedback.step()
        if not ranks.first:
            self._inform_feedback()
        for observer in self.context.observers:
            observer.stepped(self.feedback.memory)

    def divide(self, ranks: Ranks) -> None:
        """Takes shares of batches from now on."""
        if self.context.sink is not None:
            self.context.sink.divide(ranks)
        self.context.ranks = self.context.code.ranks = ranks
        self._inform_feedback()
        ranks.equalize([*self.feedback.parameters(), *self.feedback.buffers()])

    def reduce(self, parameters: Iterable[Tensor], others: Sequence[Tensor]) -> None:
        """Adds up gradients, updates that a sink holds, and other tensors over the processes."""
        if self.context.ranks.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        held = () if self.context.sink is None else self.context.sink.pending()
        self.context.ranks.sum_(*gradients, *held, *others)

    def stream(self, signal: Signal, model: Callable[[], nn.Module]) -> Iterator[Tensor]:
        """Outputs one time step at a time; whether `model()` is training may change in between."""
        refuse_stream(self.name, self.graph, self.context.temporal, self.context.code)
        self.graph.check(signal)
        states = [StreamState() for _ in self.graph.layers]
        self.feedback.begin()
        for chunk in self.graph.kind.steps(signal):
            yield self.forward(chunk, states, training=model().training)

    def expect(self, steps: int) -> None:
        """Warns if feedback would never be refreshed in a training run of that many steps."""
        first = self.feedback.first_refresh
        if first > steps:
            warnings.warn(
                f"{self.name} would refresh its feedback for the first time after step {first}, but the run has "
                f"{steps} steps; that makes it the rule `never`. Use a shorter period",
                stacklevel=3,
            )

    def observe(self, observer: Observer) -> None:
        """Adds an observer, and reports any initial copy of weights to it."""
        self.context.observers = (*self.context.observers, observer)
        self._inform_feedback()
        self.feedback.report_initial(observer)

    def observe_factors(self, observer: FactorObserver) -> None:
        """Adds an observer of the three factors of every update."""
        refuse_factors(self.name, self.graph, self.context.temporal, self.context.code)
        self.context.factor_observers = (*self.context.factor_observers, observer)

    def in_bfloat16(self) -> None:
        """Computes synaptic products in bfloat16 from now on; neurons that take it get their drive in bfloat16."""
        warn_if_emulated(self.graph.layers[0].parameter.device)
        rounding = BFloat16Synapse if self.graph.kind.over_time else BackwardBFloat16Synapse
        self.wrap(lambda layer: rounding(layer.synapse), None)
        self.bfloat16 = True

    def recompute(self) -> None:
        """Stores the inputs of layers alone from now on, and computes all else again in the backward pass."""
        refuse_recomputation(self.name, self.feedback)
        self.context.recompute = True

    def deliver(self, sink: UpdateSink) -> None:
        """Sends updates to a sink from now on."""
        refuse_sink(self.name, self.graph, self.feedback, self.context.code, sink, self.context.sink)
        if self.context.ranks.size > 1:
            sink.divide(self.context.ranks)
        self.context.sink = sink

    def wrap(
        self, synapse: Callable[[SynapticLayer], Synapse] | None, neuron: Callable[[SynapticLayer], Neuron] | None
    ) -> None:
        """Replaces each layer's synapse or neurons."""
        self.graph = self.graph.with_layers(synapse, neuron)
        self._inform_feedback()

    def _inform_feedback(self, observers: tuple[Observer, ...] | None = None) -> None:
        """Sets the current layers and observers on the feedback and on the parts that it consists of."""
        layers, receivers = self.graph.layers, tuple(self.graph.receivers.values())
        hidden = self.graph.positions[1:] if self.feedback.at_neurons else receivers[1:]
        recurs = self.context.temporal.through_time and not self.feedback.direct
        senders = tuple(i for i in range(1, len(layers)) if recurs or i in self.graph.positions)
        for part in self.feedback.modules():
            if isinstance(part, Feedback):
                part.layers, part.hidden, part.senders = layers, hidden, senders
                part.observers = self.context.observers if observers is None else observers
                part.ranks = self.context.ranks
                part.readout_decays = partial(self.context.temporal.readout_decays, self.context.readout)
