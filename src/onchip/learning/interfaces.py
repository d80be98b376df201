"""The three questions that a learning rule answers: which error, how much of the past, carried by what.

A rule is composed of one part for each question, never subclassed. Observers look on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from onchip.nn.graph_builder import SynapticLayer
from onchip.nn.neurons.base import Neuron, Tape
from onchip.nn.synapses.product import SynapticProduct
from onchip.transport import Transported

__all__ = [
    "DirectFeedback",
    "ErrorCode",
    "Feedback",
    "LayerwiseFeedback",
    "Listening",
    "LossSignals",
    "Observer",
    "ProductKind",
    "Temporal",
    "UpdateSink",
]

ProductKind = Literal["forward", "readout", "probe", "pull", "project", "local", "update", "learn"]
"""Kinds of synaptic product: forward through W, through a layer's own read-out, or through W in a phase of noise; an
error down through a layer's feedback weights, straight from the output to a layer, or back from its own read-out;
the update of W, and what feedback weights learn."""


class Observer(ABC):
    """Looks on while a rule works and touches nothing. The engine reports what it really did."""

    @abstractmethod
    def product(self, stage: str, kind: ProductKind, met: SynapticProduct) -> None:
        """A product was made at the stage's synapses; its operands may be overwritten afterwards."""

    @abstractmethod
    def fired(self, stage: str, updates: int, spikes: Callable[[], int]) -> None:
        """The stage's neurons were updated so many times; `spikes` counts the spikes that they sent."""

    @abstractmethod
    def kept(self, stage: str, scalars: int) -> None:
        """The stage keeps that many more scalars until its update; a negative number were let go."""

    @abstractmethod
    def drew(self, stage: str, count: int) -> None:
        """That many random numbers were drawn for the stage."""

    @abstractmethod
    def transport(self, stage: str, moved: Transported, *, initial: bool) -> None:
        """Forward weights of a stage were copied into feedback; `initial` before any training."""

    @abstractmethod
    def stepped(self, memory: Callable[[], int]) -> None:
        """One training step, weight update included, is over; `memory` counts the scalars that the feedback holds."""


class Feedback(nn.Module, ABC):
    """Spatial credit: which error arrives at a synapse's input? Its buffers are what a checkpoint keeps."""

    observers: tuple[Observer, ...] = ()
    """Who is told of weight transport; set by the rule."""

    direct: ClassVar[bool]
    """Whether errors come straight from the output, so that none passes from layer to layer."""

    twin: ClassVar[bool] = False
    """Whether each feedback weight makes the update of the weight it stands for, by products of its own."""

    first_refresh: int = 0
    """Training steps before feedback weights are refreshed for the first time; 0 if nobody waits for that."""

    @abstractmethod
    def attach(self, stages: Sequence[SynapticLayer]) -> None:
        """Makes the feedback weights for a network, once, when the rule is made."""

    def learn(self) -> None:
        """Called when a backward pass has filled the weights' gradients: trained feedback fills its own."""

    def step(self) -> None:
        """Called after the optimizer has changed the weights."""

    def tell_initial(self, observer: Observer) -> None:
        """Reports the weights copied when the feedback was made, to an observer that came later."""

    def refreshes(self, steps: int) -> dict[str, int] | None:
        """How often `step` does something to each stage's feedback in so many training steps, by the stage's name.

        None where it does the same at every step.
        """
        return None

    def memory(self) -> int:
        """Scalars that the feedback holds."""
        return sum(tensor.numel() for tensor in (*self.buffers(), *self.parameters()))

    def tell_product(self, stage: SynapticLayer, kind: ProductKind, met: SynapticProduct) -> None:
        """Reports a product that the feedback made for a stage."""
        for observer in self.observers:
            observer.product(stage.name, kind, met)

    def tell_draws(self, stage: SynapticLayer, count: int, *, kept: bool = False) -> None:
        """Reports random numbers drawn for a stage, and whether they must be kept for a while."""
        for observer in self.observers:
            observer.drew(stage.name, count)
            if kept:
                observer.kept(stage.name, count)

    def tell_dropped(self, stage: SynapticLayer, count: int) -> None:
        """Reports that random numbers are no longer kept."""
        for observer in self.observers:
            observer.kept(stage.name, -count)

    def tell_transport(self, stage: SynapticLayer, moved: Transported) -> None:
        """Reports a copy of forward weights into feedback."""
        for observer in self.observers:
            observer.transport(stage.name, moved, initial=False)


class LayerwiseFeedback(Feedback):
    """Feedback that comes down layer by layer through some weights of W's shape."""

    direct = False

    @abstractmethod
    def weight(self, index: int) -> Tensor:
        """B of the stage with this index, of W's shape: what its `pull` uses. Never asked of stage 0."""

    def beside(self, index: int) -> Tensor | None:
        """B of that stage where it is kept apart from W, for who only looks on; None where it is made when needed."""
        return None


class Listening(LayerwiseFeedback):
    """Feedback weights that learn while activity runs forward, from the noise that neurons make of themselves."""

    @abstractmethod
    def emitted(self, index: int, noise: Tensor) -> None:
        """Stage `index` has sent spikes that are `noise` (T, B, features...) away from their probability."""

    @abstractmethod
    def driven(self, index: int, drive: Tensor) -> None:
        """The synapses of stage `index` > 0 answer with a drive, (T, B, features...), bias included."""


@dataclass(frozen=True)
class LossSignals:
    """What the loss says of a forward pass.

    Args:
        error: e, the loss's derivative at the output, (T, B, classes) or (B, classes).
        local: its derivatives at the outputs of local read-outs, from stage 1 on; empty where there are none.
        loss: its value, (), or one for each sample, (B,), or step and sample, (T, B), with the loss as their mean.
    """

    error: Tensor
    local: tuple[Tensor, ...]
    loss: Tensor


class DirectFeedback(Feedback):
    """Feedback that comes to every hidden layer straight from the output, with no spatial backward pass."""

    direct = True

    by_sample: ClassVar[bool] = False
    """Whether it asks how good each step of each sample was, and not only for the error at the output."""

    inside: bool = False
    """Whether it deals with neurons themselves, noise at their drive and errors at their spikes, before any pool,
    in place of what stages receive. Then stage `index` stands for the neurons of the stage before it."""

    @abstractmethod
    def begin(self) -> None:
        """Called before each sequence, or stream, that may be learnt from."""

    @abstractmethod
    def receive(self, index: int, activity: Tensor) -> Tensor:
        """What stage `index` receives of the activity (T, B, features...) sent to it, in training.

        Feedback that probes the network adds its noise here, to a copy.
        """

    @abstractmethod
    def outcome(self, output: Tensor) -> None:
        """Called with the network's output, (T, B, classes) or (B, classes), before there is an error."""

    @abstractmethod
    def readout(self, index: int, activity: Tensor, classes: int) -> Tensor | None:
        """Output (T, B, classes) of a local read-out of what stage `index` receives, or None if it has none."""

    @abstractmethod
    def project(self, verdict: LossSignals, index: int, activity: Tensor) -> Tensor:
        """Error at the activity that stage `index` receives.

        Args:
            verdict: what the loss says.
            index: of the stage, from 1; what stage 0 receives is the input, which learns nothing.
            activity: what stage `index` receives, (T, B, features...) or (B, features...).

        Returns:
            An error of the activity's shape.
        """


class Temporal(ABC):
    """Temporal credit: what of the past counts in an update?"""

    streams: ClassVar[bool]
    """Whether a step's credit is known at that step, so that a rule can learn while the input comes."""

    @abstractmethod
    def presynaptic(self, signal: Tensor, neuron: Neuron, before: Tensor | None) -> Tensor:
        """Presynaptic factor (K, B, features...) of the update; `before` is its value one step earlier."""

    @abstractmethod
    def static_factors(self, steps: int, neuron: Neuron, before: float) -> list[float]:
        """Presynaptic factor at each step of a signal that is constantly 1."""

    @abstractmethod
    def error(self, neuron: Neuron, error: Tensor, tape: Tape) -> Tensor:
        """Error at the neurons' drive, (K, B, features...), from the error at their activity."""

    @abstractmethod
    def sums(self, neuron: Neuron, error: Tensor, tape: Tape, weights: Sequence[float]) -> tuple[Tensor, Tensor]:
        """Sums over time of that error, (B, features...): each step times its weight, and as it is."""

    def met(self, pre: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
        """The rows (N, features...) whose products are the update: each step of each sample, unless overridden."""
        return pre.flatten(0, 1), delta.flatten(0, 1)


class ErrorCode(ABC):
    """What carries the errors: real values, or spikes."""

    @property
    def streams(self) -> bool:
        """Whether the error of a step is carried without what came before it."""
        return True

    @abstractmethod
    def carry(self, delta: Tensor, depth: int) -> Tensor:
        """The error at a drive as it is sent on, to the update and to the layer below.

        Args:
            delta: (K, B, features...), of a loss that is a mean over time steps and samples.
            depth: stages between this one and the output; 0 for the last.
        """

    def unit(self, shape: torch.Size, depth: int) -> float | None:
        """What one error spike is worth in a delta of this shape; None where errors are real numbers."""
        return None


class UpdateSink(ABC):
    """Takes updates as the two factors that meet at a synapse, as a crossbar does, in place of their product."""

    @property
    @abstractmethod
    def counts(self) -> bool:
        """Whether it counts the spikes of errors, and so takes no errors that are real numbers."""

    @abstractmethod
    def take(self, stage: SynapticLayer, pre: Tensor, delta: Tensor, unit: float | None) -> None:
        """One update of a stage's weights and bias, in the direction that lowers the loss if subtracted.

        Args:
            stage: whose weight's update is the stage's synapse's `outer(pre, delta)`.
            pre: presynaptic factor (N, in...).
            delta: error at the drive (N, out...).
            unit: what one spike of the error is worth, so that delta / unit counts spikes; None if it has no spikes.
        """
