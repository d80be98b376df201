"""A learning rule at work on one network: it fills `.grad`, and any optimizer applies it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import get_args

import torch
from torch import Tensor, nn

from onchip.claims import Claims
from onchip.errors import OnchipError, RequestError, UnsupportedError
from onchip.learning import ownership as trainers
from onchip.learning.coding.real import RealErrors
from onchip.learning.interfaces import (
    DirectFeedback,
    ErrorCode,
    Feedback,
    LayerwiseFeedback,
    LossSignals,
    Observer,
    Temporal,
    UpdateSink,
)
from onchip.learning.layer_call import LayerCall, RuleContext, StreamState
from onchip.learning.noise import Added
from onchip.learning.silent_layers import LOOKS, Silence
from onchip.learning.three_factors import FactorObserver
from onchip.nn import neurons
from onchip.nn.graph_builder import SynapticLayer, build_graph, validated
from onchip.nn.signals import Kind, Signal, Static
from onchip.nn.synapses.bfloat16 import BFloat16Synapse, warn_if_emulated

__all__ = ["Rule"]


class Rule:
    """A gradient estimator composed of feedback, temporal credit and a code.

    Args:
        name: what the rule is called in messages and records.
        model: a `nn.Sequential` of `onchip.nn`.
        feedback: which error arrives at a synapse's input.
        temporal: what of the past counts.
        code: what carries errors.
        disturbance: noise in training on what each layer but the first receives, for controls; None for none.
        trains: kinds of signal whose neurons the rule can train.
        claims: what the rule promises not to read, for `onchip audit`; None promises nothing.

    Raises:
        UnsupportedError: neurons or layers that the rule cannot train, by name.
        RequestError: a network that another rule still trains.

    Example:
        >>> from onchip import nn, rules
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.LIF(), nn.Linear(8, 3))
        >>> rule = rules.bp(model)
        >>> out = rule.forward(Static(torch.rand(2, 4), steps=5))  # (T, B, classes)
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
        disturbance: Added | None = None,
        trains: tuple[Kind, ...] = get_args(Kind),
        claims: Claims | None = None,
    ) -> None:
        self.name = name
        self.claims = claims
        inside = isinstance(feedback, DirectFeedback) and feedback.inside
        self._plan = build_graph(model).unpooled() if inside else build_graph(model)
        self._refuse_untrainable(trains)
        if feedback.twin:
            self._refuse_standardised("gives weights and feedback one update")
        trainers.refuse_second(name, model)
        self._model: nn.Module | None = model
        self._feedback = feedback
        self._temporal = temporal
        self._code = RealErrors() if code is None else code
        self._disturbance = disturbance
        self._observers: tuple[Observer, ...] = ()
        self._receiver: UpdateSink | None = None
        self._witnesses: tuple[FactorObserver, ...] = ()
        self._outputs: list[Tensor] = []
        self._pending: tuple[list[Tensor], Tensor, list[Tensor]] | None = None
        self._passes = 0
        self._silence = Silence(name)
        self._arriving = 0
        with torch.no_grad():
            feedback.attach(self._plan.receivers if feedback.direct and not inside else self._plan.layers)
        trainers.claim(self, model)

    def forward(self, signal: Signal) -> Tensor:
        """Output of the network, with the rule listening.

        Args:
            signal: (T, B, features...) or `Static`, or spike times (B, features...).

        Returns:
            (T, B, classes), or (B, classes) for spike times. Make a loss of it and hand that to `backward`;
            rules with local read-outs want one of all `outputs`.

        Raises:
            RequestError: a signal that the network cannot take, or a detached rule.
        """
        self._begin()
        return self._expose(*self._run(signal, None))

    __call__ = forward

    @property
    def outputs(self) -> list[Tensor]:
        """Outputs of the last forward pass: the network's, then that of each layer's local read-out, if any.

        `rule.backward(sum(loss(out, labels) for out in rule.outputs))` suits every rule.

        Raises:
            RequestError: there was no forward pass, or it has had its backward.
        """
        if not self._outputs:
            raise RequestError(f"{self.name}: no forward pass has outputs to show; call rule.forward first")
        return list(self._outputs)

    def backward(self, loss: Tensor, samples: Tensor | None = None) -> None:
        """Adds the rule's estimate of the gradient to each parameter's `.grad`.

        Args:
            loss: a scalar made of what the last `forward` returned, and of all `outputs` where there are more.
            samples: values of the loss at the network's output for each step and sample, (T, B), or each
                sample, (B,), with the loss as their mean. Rules that are `by_sample` do better with them; no
                other takes notice.

        Raises:
            RequestError: no forward pass waits for its backward, or the loss does not depend on it or on
                one of its local outputs, or a shape is wrong.
        """
        if self._pending is None:
            raise RequestError(f"{self.name}: backward without a forward pass; call rule.forward first")
        if loss.numel() != 1:
            raise RequestError(
                f"{self.name}: got a loss of shape {tuple(loss.shape)}; expected one number. Take its mean"
            )
        (exposed, *local), output, taps = self._pending
        if samples is not None and samples.shape not in (exposed.shape[:-1], exposed.shape[-2:-1]):
            raise RequestError(
                f"{self.name}: got samples of shape {tuple(samples.shape)}; expected the loss of each step and "
                f"sample, {tuple(exposed.shape[:-1])}, or of each sample, {tuple(exposed.shape[-2:-1])}"
            )
        self._pending, self._outputs = None, []
        if not loss.requires_grad:
            raise RequestError(
                f"{self.name}: the loss does not depend on the network's output; make it of what "
                "rule.forward returned, without detach() or torch.no_grad()"
            )
        self._arriving = self._passes
        try:
            loss.backward()
        finally:
            self._arriving = 0
        error = exposed.grad
        if error is None:
            raise RequestError(
                f"{self.name}: the loss does not depend on what the last rule.forward returned; "
                "call backward once after each forward"
            )
        roots = [(output, error)] if output.requires_grad else []
        with torch.no_grad():
            verdict = LossSignals(error, self._local_errors(local), (loss if samples is None else samples).detach())
            for index, tap in enumerate(taps, start=1):
                if tap.requires_grad:
                    roots.append((tap, self._project(verdict, index, tap)))
        torch.autograd.backward([root for root, _ in roots], [arriving for _, arriving in roots])
        with torch.no_grad():
            self._feedback.learn()

    def expect(self, steps: int) -> None:
        """Warns if feedback would never be refreshed in a training run of that many steps.

        Args:
            steps: training steps of the whole run.
        """
        first = self._feedback.first_refresh
        if first > steps:
            warnings.warn(
                f"{self.name} would refresh its feedback for the first time after step {first}, but the run has "
                f"{steps} steps; this is the rule `never` by another name. Use a shorter period",
                stacklevel=2,
            )

    def step(self) -> None:
        """Call after the optimizer's step: refreshes feedback and tells the observers."""
        with torch.no_grad():
            self._feedback.step()
        for observer in self._observers:
            observer.stepped(self._feedback.memory)

    def refreshes(self, steps: int) -> dict[str, int] | None:
        """How often `step` does something to each layer's feedback in so many training steps, by the layer's name.

        None where it does the same at every step.
        """
        return self._feedback.refreshes(steps)

    def stream(self, signal: Signal) -> Iterator[Tensor]:
        """Runs a sequence one time step at a time, in memory that does not grow with T.

        Call `backward` on a loss of each output before asking for the next; gradients add up to those of
        the whole sequence, while weights and feedback stay as they are. Stepping the optimizer in between
        makes the rule learn online.

        Args:
            signal: (T, B, features...) or `Static`.

        Yields:
            The output at each step, (1, B, classes).

        Raises:
            UnsupportedError: a rule that needs the whole sequence, or neurons with spike times.
        """
        if self._plan.kind == "times" or not (self._temporal.streams and self._code.streams):
            raise UnsupportedError(
                f"{self.name} cannot stream: it needs the whole sequence before it can assign credit. "
                "Use rule.forward, or an online rule such as ottt"
            )
        signal = validated(signal, self._plan)
        carries = [StreamState() for _ in self._plan.layers]
        self._begin()
        if isinstance(signal, Static):
            chunks: Iterator[Signal] = (Static(signal.image, 1) for _ in range(signal.steps))
        else:
            chunks = (frame.unsqueeze(0) for frame in signal)
        for chunk in chunks:
            yield self._expose(*self._run(chunk, carries))

    @property
    def by_sample(self) -> bool:
        """Whether `backward` makes use of `samples`."""
        return isinstance(self._feedback, DirectFeedback) and self._feedback.by_sample

    @property
    def layers(self) -> tuple[SynapticLayer, ...]:
        """The layers with weights and their neurons, from the input on."""
        return self._plan.layers

    def feedback_weights(self) -> dict[str, Tensor]:
        """B of each layer that keeps feedback weights of W's shape beside W, by the layer's name; to look at only."""
        if not isinstance(self._feedback, LayerwiseFeedback):
            return {}
        kept = {stage.name: self._feedback.beside(index) for index, stage in enumerate(self.layers) if index}
        return {name: weight for name, weight in kept.items() if weight is not None}

    def parameters(self) -> Iterator[nn.Parameter]:
        """What an optimizer should train: the network's parameters, then any that the feedback learns."""
        return chain(self._attached().parameters(), self._feedback.parameters())

    def state_dict(self) -> dict[str, Tensor]:
        """What the rule must keep across a checkpoint: its feedback. The network's weights are not in it."""
        return self._feedback.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restores what `state_dict` returned.

        Raises:
            RequestError: a state that belongs to another rule or network.
        """
        try:
            self._feedback.load_state_dict(state)
        except (RuntimeError, TypeError, ValueError) as error:
            raise RequestError(f"{self.name}: this state is another rule's or network's: {error}") from error

    def to(self, device: torch.device | str) -> Rule:
        """Moves the network and its feedback to a device, and returns the rule."""
        self._attached().to(device)
        self._feedback.to(device)
        return self

    def in_bfloat16(self) -> Rule:
        """Makes the products at synapses in bfloat16 from now on, and returns the rule; all else stays float32.

        The bare model, as it is evaluated, is not touched. See `onchip.nn.synapses.bfloat16`.

        Raises:
            UnsupportedError: neurons with spike times, which bfloat16 tells apart by 1/256 at best.
        """
        if self._plan.kind == "times":
            raise UnsupportedError(
                f"{self.name} got spike times to round to bfloat16, which would change their order; expected neurons "
                "over time steps. Use float32"
            )
        warn_if_emulated(self._plan.layers[0].parameter.device)
        for stage in self._plan.layers:
            # A stage is frozen for everybody else; feedback holds this very one.
            object.__setattr__(stage, "synapse", BFloat16Synapse(stage.synapse))
        return self

    def observe(self, observer: Observer) -> None:
        """Reports every product, transport and step from now on, and any initial copy of weights."""
        self._observers = (*self._observers, observer)
        for part in self._feedback.modules():
            if isinstance(part, Feedback):
                part.observers = self._observers
        self._feedback.tell_initial(observer)

    def witness(self, witness: FactorObserver) -> None:
        """Shows the three factors of every update from now on: presynaptic trace, local surrogate, top-down error.

        Raises:
            UnsupportedError: a rule whose updates have another form.
        """
        if not (self._temporal.streams and self._plan.kind == "steps" and isinstance(self._code, RealErrors)):
            raise UnsupportedError(
                f"{self.name} has no three-factor form on {self._plan.kind}: its errors come back through time, or are "
                "spikes, or its neurons have no steps. Use an online rule such as ottt with LIF neurons"
            )
        self._witnesses = (*self._witnesses, witness)

    def deliver(self, receiver: UpdateSink) -> None:
        """Hands every update of weights and biases to a receiver from now on, and leaves their `.grad` empty.

        Raises:
            RequestError: updates go to another receiver already.
            UnsupportedError: feedback weights that need the weights' updates for themselves, or errors that are no
                spikes where the receiver counts spikes.
        """
        if self._receiver is not None:
            raise RequestError(
                f"{self.name}: updates go to {type(self._receiver).__name__} already; expected one receiver. "
                "Make a new rule for another"
            )
        if self._feedback.twin:
            raise UnsupportedError(
                f"{self.name} trains its feedback weights by the weights' own updates, which a receiver takes away; "
                "use an optimizer, or another rule"
            )
        if receiver.counts and self._code.unit(torch.Size((1, 1)), 0) is None:
            raise UnsupportedError(
                f"{self.name} has errors that are real numbers, and {type(receiver).__name__} counts spikes; use a "
                "rule whose errors are spikes, such as ssnn_bp, or a device that takes numbers"
            )
        self._refuse_standardised("hands updates of the weights themselves to a receiver")
        self._receiver = receiver

    def nonfinite(self) -> str | None:
        """Name of the first parameter that holds NaN or infinity, or None."""
        for name, parameter in self._attached().named_parameters():
            if not bool(torch.isfinite(parameter).all()):
                return name
        return None

    def detach(self) -> nn.Module:
        """Lets go of the network and returns it: a plain torch module that another rule may train."""
        model = self._attached()
        trainers.release(model)
        self._model = self._pending = None
        self._outputs = []
        return model

    def _begin(self) -> None:
        if isinstance(self._feedback, DirectFeedback):
            self._feedback.begin()

    def _attached(self) -> nn.Module:
        if self._model is None:
            raise RequestError(f"{self.name}: this rule is detached from its network; make a new one")
        return self._model

    def _run(self, signal: Signal, carries: list[StreamState] | None) -> tuple[Tensor, list[Tensor]]:
        """The network's output and, for direct feedback, what each stage but the first received."""
        learning = self._attached().training and torch.is_grad_enabled()
        signal = validated(signal, self._plan)
        self._check_feedback(signal)
        rule = RuleContext(
            self._feedback, self._temporal, self._code, self._observers, self._receiver, learning, self._witnesses
        )
        taps: list[Tensor] = []
        kept: list[Signal] = []
        # One step of a stream says little.
        looks = learning and carries is None and self._plan.kind == "steps" and self._passes % LOOKS == 0
        arrived = stages = 0
        for part, arrives in zip(self._plan.parts, self._plan.arrivals, strict=True):
            if arrives:
                signal = self._received(signal, arrived, taps, learning)
                arrived += 1
            if not isinstance(part, SynapticLayer):
                signal = part(signal, self._plan.kind, kept)
                continue
            carry = None if carries is None else carries[stages]
            signal = LayerCall(part, stages, len(self._plan.layers) - 1 - stages, rule, carry)(signal)
            stages += 1
            if isinstance(self._feedback, DirectFeedback) and self._feedback.inside and stages < len(self._plan.layers):
                taps.append(signal)
                signal = signal.detach()
            if looks and stages < len(self._plan.layers):
                self._silence.look(part.name, signal)
        assert isinstance(signal, Tensor), "a stage's activity is never Static"
        dims = 2 if self._plan.kind == "times" else 3
        if self._feedback.direct and signal.dim() != dims:
            raise UnsupportedError(
                f"{self.name} sends errors straight from the output, which must be one row a sample; got an output "
                f"of shape {tuple(signal.shape)}. End the network with nn.Flatten() or a Linear"
            )
        if learning and isinstance(self._feedback, DirectFeedback):
            with torch.no_grad():
                self._feedback.outcome(signal)
        return signal, taps

    def _check_feedback(self, signal: Signal) -> None:
        device = signal.image.device if isinstance(signal, Static) else signal.device
        kept = next(chain(self._feedback.buffers(), self._feedback.parameters()), None)
        if kept is not None and kept.device != device:
            raise RequestError(
                f"{self.name} has its feedback on device {str(kept.device)!r} and the network on {str(device)!r}; "
                "expected one device. Use rule.to(...), which moves both"
            )

    def _received(self, signal: Signal, index: int, taps: list[Tensor], learning: bool) -> Signal:
        """What the receiver number `index` gets of a signal: under direct feedback without the way back."""
        if not index:
            return _cut_off(signal)
        assert isinstance(signal, Tensor), "a stage's activity is never Static"
        if isinstance(self._feedback, DirectFeedback) and not self._feedback.inside:
            taps.append(signal)
            signal = signal.detach()
            if learning:
                signal = self._feedback.receive(index, signal)
        if learning and self._disturbance is not None:
            signal = self._disturbance(signal)
            for observer in self._observers:
                observer.drew(self._plan.receivers[index].name, signal.numel())
        return signal

    def _expose(self, output: Tensor, taps: list[Tensor]) -> Tensor:
        """Cuts the output off, so that a loss's own backward() reaches no weight behind the rule's back."""
        if not any(tensor.requires_grad for tensor in (output, *taps)):
            self._outputs = [output]
            return output
        self._passes += 1
        self._outputs = [output.detach(), *self._local_outputs(taps, output.shape[-1])]
        for exposed in self._outputs:
            exposed.requires_grad_().register_hook(partial(self._check_arrival, self._passes))
        self._pending = (self._outputs, output, taps)
        return self._outputs[0]

    @torch.no_grad()
    def _local_outputs(self, taps: list[Tensor], classes: int) -> list[Tensor]:
        if not isinstance(self._feedback, DirectFeedback):
            return []
        found = [self._feedback.readout(index, tap, classes) for index, tap in enumerate(taps, start=1)]
        return [output for output in found if output is not None]

    def _local_errors(self, outputs: list[Tensor]) -> tuple[Tensor, ...]:
        errors = [output.grad for output in outputs]
        for stage, error in zip(self._plan.layers, errors, strict=False):
            if error is None:
                raise RequestError(
                    f"{self.name}: the loss does not depend on the local read-out of layer {stage.name!r}; make it "
                    "of all outputs, as sum(loss(out, labels) for out in rule.outputs)"
                )
        return tuple(error for error in errors if error is not None)

    def _check_arrival(self, number: int, error: Tensor) -> None:
        """Refuses an error at the output of pass `number` that `backward` does not expect."""
        if not self._arriving:
            raise OnchipError(
                f"loss.backward() was called on the output of rule {self.name!r}, which would train nothing; "
                "call rule.backward(loss)"
            )
        if number != self._arriving:
            raise RequestError(
                f"{self.name}: the loss depends on what an earlier rule.forward returned, which no longer waits; "
                "call backward once after each forward"
            )

    def _project(self, verdict: LossSignals, index: int, tap: Tensor) -> Tensor:
        assert isinstance(self._feedback, DirectFeedback), "only direct feedback taps the layers"
        return self._feedback.project(verdict, index, tap)

    def _refuse_untrainable(self, trains: tuple[Kind, ...]) -> None:
        if self._plan.kind in trains:
            return
        stage = self._plan.layers[0]
        known = [name for name in neurons.__all__ if getattr(neurons, name).signal in trains]
        raise UnsupportedError(
            f"{self.name} cannot train {type(stage.neuron).__name__} neurons (after layer {stage.name!r}); "
            f"it trains {', '.join(known)}"
        )

    def _refuse_standardised(self, does: str) -> None:
        for stage in self._plan.layers:
            if stage.weight is not stage.parameter:
                raise UnsupportedError(
                    f"{self.name} {does}, and those of {type(stage.module).__name__} {stage.name!r} are made of "
                    "parameters anew at each step; use nn.Conv2d"
                )


def _cut_off(signal: Signal) -> Signal:
    """The signal without the graph it came from: no error leaves through it."""
    return Static(signal.image.detach(), signal.steps) if isinstance(signal, Static) else signal.detach()
