"""A learning rule attached to one network: it fills `.grad`, and any optimizer applies it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import torch
from torch import Tensor, nn

from onchip.certificates import Claims
from onchip.errors import RequestError
from onchip.learning import ownership
from onchip.learning.claims import claims_of
from onchip.learning.coding.base import ErrorCode
from onchip.learning.coding.real import RealErrors
from onchip.learning.context import RuleContext
from onchip.learning.description import RuleDescription
from onchip.learning.engine import Engine
from onchip.learning.feedback.base import Feedback
from onchip.learning.noise import Added
from onchip.learning.observers import FactorObserver, Observer, UpdateSink
from onchip.learning.ranks import Ranks
from onchip.learning.refusals import refuse_time_constants, refuse_untrainable
from onchip.learning.temporal.base import Temporal
from onchip.nn.graph import SynapticLayer
from onchip.nn.graph_builder import build_graph
from onchip.nn.neurons.base import Neuron
from onchip.nn.signals import Signal, SignalKind
from onchip.nn.synapses.base import Synapse


class Rule:
    """A gradient estimator composed of feedback, temporal credit and an error code.

    Args:
        name: Name of the rule in messages and records.
        model: An `nn.Sequential` of layers from `onchip.nn`.
        feedback: Spatial credit: the error that reaches each layer.
        temporal: Temporal credit: how earlier time steps enter an update.
        code: Representation of errors; real numbers by default.
        noise: Noise added in training to the input of each layer but the first, as a control; None for none.
        trains: Kinds of signal whose neurons the rule can train; None for all.
        claims: What the rule claims about the locality of its updates; None derives the claims from the parts.

    Raises:
        UnsupportedError: The rule cannot train one of the network's neurons or layers, which the message names.
        RequestError: Another rule still trains the network.

    Example:
        >>> from onchip import nn, rules
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.LIF(), nn.Linear(8, 3))
        >>> rule = rules.bp(model)
        >>> out = rule.forward(nn.Static(torch.rand(2, 4), steps=5))  # (T, B, classes)
        >>> rule.backward(out.square().mean())
        >>> model[0].weight.grad.shape
        torch.Size([8, 4])
    """

    def __init__(
        self,
        name: str,
        model: nn.Module,
        *,
        feedback: Feedback,
        temporal: Temporal,
        code: ErrorCode | None = None,
        noise: Added | None = None,
        trains: Sequence[SignalKind] | None = None,
        claims: Claims | None = None,
    ) -> None:
        self.name = name
        graph = build_graph(model)
        refuse_untrainable(name, graph, trains)
        ownership.refuse_second(name, model)
        refuse_time_constants(name, graph, feedback, temporal)
        code = code or RealErrors()
        self.claims = claims_of(graph, feedback, temporal, code) if claims is None else claims
        self._feedback = feedback
        self._engine = Engine(name, graph, RuleContext(feedback, temporal, code, graph.layers[-1].neuron), noise)
        self._model: nn.Module | None = model
        self._hook: torch.utils.hooks.RemovableHandle | None = None
        ownership.claim(self, model)

    def forward(self, signal: Signal, lengths: Tensor | None = None) -> Tensor:
        """Output of the network, recorded for `backward`.

        Args:
            signal: A sequence (T, B, features...), a `Static` image, or spike times (B, features...).
            lengths: Time steps of each sequence, (B,) int64, 1 to T; nothing is learned from the padding beyond. None
                where all have T. The loss must have no target in the padding, as labels (T, B) express by -1.

        Returns:
            (T, B, classes), or (B, classes) for spike times, from which to compute a loss; see also `outputs`.

        Raises:
            RequestError: The network cannot take the signal, a length is out of range, or the rule is detached.
        """
        model = self._attached()
        self._feedback.begin()
        return self._engine.forward(signal, None, training=model.training, lengths=lengths)

    __call__ = forward

    @property
    def outputs(self) -> list[Tensor]:
        """Outputs of the last forward pass: the network's, then that of each layer's local read-out, if any.

        `rule.backward(sum(loss(out, labels) for out in rule.outputs), targets=labels)` works with every rule.

        Raises:
            RequestError: There was no forward pass, or its backward pass is over.
        """
        return self._engine.boundary.outputs

    def backward(
        self, loss: Tensor, samples: Tensor | None = None, targets: Tensor | None = None, share: float = 1.0
    ) -> None:
        """Adds the rule's estimate of the gradient to each parameter's `.grad`.

        Args:
            loss: A scalar that depends on all `outputs` of the last `forward`.
            samples: Loss at the network's output per time step and sample, (T, B), or per sample, (B,), with the
                mean `loss`. Only rules that are `by_sample` use it.
            targets: Labels (B,), or (T, B) with -1 at steps without a target. Rules that are `by_target` need them;
                rules whose errors are spikes need labels per step, for the number of targets sets a spike's size.
            share: Share of this pass in the mean of the loss, such as 1/T for each step of a stream, by which the
                caller has multiplied `loss` and `samples`. Rules that are `by_target` use it, and those whose
                errors are spikes.

        Raises:
            RequestError: There is no forward pass to go with it, the loss does not depend on all of that pass's
                outputs, a shape is wrong, or targets are missing or no classes.
        """
        self._engine.backward(loss, samples, targets, share)

    def divide(self, ranks: Ranks) -> Rule:
        """Takes this process's share of each batch from now on, and returns the rule.

        Weights and feedback become those of the first process. Multiply the loss of a share, and `samples`, by
        `ranks.share` of its targets, and pass that as `share`, so that the sum over processes is the mean over the
        batch; call `reduce` before the optimizer's step. Forward and backward passes draw random numbers of the
        process's own; all others must be equal in all processes, as torch's are after one `torch.manual_seed`.

        Args:
            ranks: The processes, from `Ranks.join`.

        Raises:
            UnsupportedError: The destination of the updates takes those of one process alone.
        """
        ranks.equalize([*self._attached().parameters(), *self._attached().buffers()])
        self._engine.divide(ranks)
        return self

    def reduce(self, *others: Tensor) -> None:
        """Adds up `.grad` and what sinks hold of updates over the processes; others are added up with them."""
        self._engine.reduce(self.parameters(), others)

    def require_equal(self) -> None:
        """Refuses to go on if processes have other weights or feedback than the first one.

        Raises:
            ProcessLostError: They differ; the message names the first layer that does.
        """
        ranks = self._engine.context.ranks
        ranks.require_equal(dict(self._attached().named_parameters()), f"{self.name}: the values of")
        ranks.require_equal(self.state_dict(), f"{self.name}: the feedback values of")

    @property
    def ranks(self) -> Ranks:
        """The processes that share each batch."""
        return self._engine.context.ranks

    def step(self) -> None:
        """Refreshes feedback; call it after the optimizer's step. Does nothing once `step_after` was called."""
        if self._hook is None:
            self._engine.step()

    def step_after(self, optimizer: torch.optim.Optimizer) -> None:
        """Refreshes feedback after each step of an optimizer, so that `step` need not be called."""
        self._hook = optimizer.register_step_post_hook(lambda *_: self._engine.step())

    def stream(self, signal: Signal) -> Iterator[Tensor]:
        """Runs a sequence one time step at a time, in memory that does not grow with T.

        Call `backward` on a loss of each output, (1, B, classes), before taking the next; gradients add up to
        those of the whole sequence. Stepping the optimizer in between makes the rule learn online.

        Raises:
            UnsupportedError: The rule needs the whole sequence, or the neurons have spike times.
        """
        return self._engine.stream(signal, self._attached)

    @property
    def layers(self) -> tuple[SynapticLayer, ...]:
        """Synaptic layers, in order from the input."""
        return self._engine.graph.layers

    @property
    def feedback(self) -> Feedback:
        """The part that assigns spatial credit."""
        return self._feedback

    def describe(self) -> RuleDescription:
        """What the rule does at each synapse, as plain data; see docs/learning-group.md for the form.

        Raises:
            UnsupportedError: A part of the rule does not describe itself.

        Example:
            >>> from onchip import nn, rules
            >>> rule = rules.dfa(nn.Sequential(nn.Linear(4, 8), nn.LIF(decay=0.5), nn.Linear(8, 3)))
            >>> rule.describe().synapses[0].update.terms[0].filters
            (0.5,)
        """
        return self._engine.describe()

    @property
    def bfloat16(self) -> bool:
        """Whether products at synapses are computed in bfloat16 in training, as after `in_bfloat16`."""
        return self._engine.bfloat16

    @property
    def by_sample(self) -> bool:
        """Whether `backward` uses `samples`."""
        return self._feedback.by_sample

    @property
    def by_target(self) -> bool:
        """Whether `backward` needs `targets`."""
        return self._feedback.by_target

    def refreshes(self, steps: int) -> dict[str, int] | None:
        """Refreshes of each layer's feedback in that many training steps; None where all steps are alike."""
        return self._feedback.refreshes(steps)

    def expect(self, steps: int) -> None:
        """Warns if feedback would never be refreshed in a training run of that many steps."""
        self._engine.expect(steps)

    def feedback_weights(self) -> dict[str, Tensor]:
        """Stored feedback weights B, of W's shape, by the layer's name; not to be modified."""
        return self._feedback.stored_weights()

    def parameters(self) -> Iterator[nn.Parameter]:
        """Parameters for an optimizer: the network's, then those of learned feedback."""
        return chain(self._attached().parameters(), self._feedback.parameters())

    def state_dict(self) -> dict[str, Tensor]:
        """State of the feedback, for a checkpoint; the network's weights are not in it."""
        return self._feedback.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restores what `state_dict` returned.

        Raises:
            RequestError: The state belongs to another rule or network.
        """
        try:
            self._feedback.load_state_dict(state)
        except (RuntimeError, TypeError, ValueError) as error:
            raise RequestError(f"{self.name}: this state belongs to another rule or network: {error}") from error

    def to(self, device: torch.device | str) -> Rule:
        """Moves the network and its feedback to a device, and returns the rule."""
        self._attached().to(device)
        self._feedback.to(device)
        return self

    def in_bfloat16(self) -> Rule:
        """Computes synaptic products in bfloat16 from now on, and returns the rule; evaluation stays in float32.

        LIF neurons then exchange activity and errors in bfloat16, too, and keep their potentials in it; weights,
        gradients, membranes, other neurons and recurrent layers stay in float32, and so do streams. With spike times,
        forward products stay in float32, too.
        """
        self._engine.in_bfloat16()
        return self

    def recompute(self) -> Rule:
        """Stores less and computes more from now on, with equal gradients, bit for bit, and returns the rule.

        After a forward pass each layer keeps its input, spikes as bits; its product, potentials and traces are computed
        again when its error has arrived. Observers see the products twice. Streams, which hold one time step, stay as
        they are.

        Raises:
            UnsupportedError: The feedback adds noise to the drive of neurons.
        """
        self._engine.recompute()
        return self

    def wrap(
        self,
        *,
        synapse: Callable[[SynapticLayer], Synapse] | None = None,
        neuron: Callable[[SynapticLayer], Neuron] | None = None,
    ) -> Rule:
        """Replaces the synapse or the neurons of each layer, for example by recording ones, and returns the rule."""
        self._engine.wrap(synapse, neuron)
        return self

    def observe(self, observer: Observer) -> None:
        """Adds an observer of every product, transport and step; it also gets any initial copy of weights."""
        self._engine.observe(observer)

    def observe_factors(self, observer: FactorObserver) -> None:
        """Adds an observer of the three factors of every update: presynaptic trace, surrogate derivative, error.

        Raises:
            UnsupportedError: The rule's updates have another form.
        """
        self._engine.observe_factors(observer)

    def deliver(self, sink: UpdateSink) -> None:
        """Sends every update of weights and biases to a sink from now on, and leaves their `.grad` empty.

        Raises:
            RequestError: Updates already go to another sink.
            UnsupportedError: The sink cannot take the rule's updates.
        """
        self._engine.deliver(sink)

    def nonfinite(self) -> str | None:
        """Name of the first parameter that contains NaN or infinity, or None."""
        named = self._attached().named_parameters()
        return next((name for name, value in named if not bool(torch.isfinite(value).all())), None)

    @property
    def network(self) -> nn.Module:
        """The network that the rule trains.

        Raises:
            RequestError: The rule was detached from it.
        """
        return self._attached()

    def detach(self) -> nn.Module:
        """Releases the network and returns it; another rule may then train it."""
        model = self._attached()
        ownership.release(model)
        if self._hook is not None:
            self._hook.remove()
        self._model = None
        self._engine.boundary.forget()
        return model

    def _attached(self) -> nn.Module:
        if self._model is None:
            raise RequestError(f"{self.name}: this rule is detached from its network; make a new one")
        return self._model
