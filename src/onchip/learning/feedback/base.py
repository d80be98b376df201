"""Spatial credit: which error reaches the layer below a synapse."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from onchip.certificates import Claims
from onchip.errors import OnchipError
from onchip.learning.observers import Observer, ProductKind
from onchip.nn.graph import SynapticLayer
from onchip.nn.signals import Signal
from onchip.nn.synapses.product import SynapticProduct
from onchip.transport import Transported

__all__ = ["DirectFeedback", "Feedback", "LayerwiseFeedback", "LossSignals"]


@dataclass(frozen=True)
class LossSignals:
    """What the loss gives for a forward pass.

    Args:
        error: e, the loss's derivative at the output, (T, B, classes) or (B, classes).
        local: Its derivatives at the outputs of local read-outs, by the index of their layer; empty without any.
        loss: Its value, (), or one for each sample, (B,), or step and sample, (T, B), whose mean is the loss.
    """

    error: Tensor
    local: Mapping[int, Tensor]
    loss: Tensor


class Feedback(nn.Module):
    """Spatial credit of a rule; its buffers and parameters are what a checkpoint keeps.

    An index always is a layer's position in `layers`. Hidden activity goes by the index of the layer that receives it.
    All hooks do nothing by default, except that parts registered as submodules get the calls that have no result.

    Attributes:
        layers: The network's synaptic layers; set by the rule before `attach`.
        hidden: Indices of the layers whose incoming activity gets an error of its own under direct feedback; likewise.
        observers: Who is notified of products and weight transport; likewise.
        direct: Whether errors come straight from the output, so that none passes from layer to layer.
        claims: What a rule with this feedback claims, as far as temporal credit and error code allow.
        twin: Whether each feedback weight makes the update of the weight that it stands for, by products of its own.
        by_sample: Whether it needs the loss of each step of each sample, and not only the error at the output.
        at_neurons: Whether it acts at neurons, with noise at their drive and errors at their spikes before any pool,
            instead of at what layers receive.
        first_refresh: Training steps before feedback weights are refreshed for the first time; 0 without refreshes.
    """

    layers: tuple[SynapticLayer, ...] = ()
    hidden: tuple[int, ...] = ()
    observers: tuple[Observer, ...] = ()
    claims: Claims = Claims()
    direct: ClassVar[bool] = False
    twin: ClassVar[bool] = False
    by_sample: ClassVar[bool] = False
    at_neurons: bool = False
    first_refresh: int = 0

    @property
    def parts(self) -> Iterator[Feedback]:
        """Feedback that this one is made of."""
        return (child for child in self.children() if isinstance(child, Feedback))

    def attach(self) -> None:
        """Makes the feedback weights for `layers`, once, when the rule is made."""
        for part in self.parts:
            part.attach()

    def weight(self, index: int) -> Tensor:
        """B of the layer, of W's shape, through which an error goes down; layer 0 has none."""
        raise OnchipError(f"{type(self).__name__} sends no error from layer to layer")

    def project(self, signals: LossSignals, index: int, activity: Tensor) -> Tensor:
        """Error at the activity that the layer receives, straight from the output.

        Args:
            signals: What the loss gives.
            index: Index of the layer, at least 1: what layer 0 receives is the input, which learns nothing.
            activity: What the layer receives, (T, B, features...) or (B, features...).

        Returns:
            An error of the activity's shape.
        """
        raise OnchipError(f"{type(self).__name__} sends errors from layer to layer only")

    def stored_weight(self, index: int) -> Tensor | None:
        """B of the layer where it is stored beside W; None where it is made when needed."""
        return None

    def stored_weights(self) -> dict[str, Tensor]:
        """All `stored_weight`s, by the layer's name."""
        stored = {layer.name: self.stored_weight(index) for index, layer in enumerate(self.layers) if index}
        return {name: weight for name, weight in stored.items() if weight is not None}

    def begin(self) -> None:
        """Called before each sequence, or stream, from which the rule may learn."""
        for part in self.parts:
            part.begin()

    def receive(self, index: int, activity: Tensor) -> Tensor:
        """What the layer receives of the activity (T, B, features...) sent to it, in training.

        Feedback that perturbs the network adds its noise here, to a copy.
        """
        return activity

    def at_drive(self, index: int, drive: Signal) -> Signal:
        """The drive (T, B, features...), or `Static`, that the layer's neurons get of this one, in training."""
        return drive

    def fired(self, index: int, activity: Tensor, probability: Tensor | None) -> None:
        """The layer's neurons sent this activity, in training; with its probability where it is random."""

    def outcome(self, output: Tensor) -> None:
        """Called in training with the network's output, (T, B, classes) or (B, classes), before there is an error."""
        for part in self.parts:
            part.outcome(output)

    def readout(self, index: int, activity: Tensor, classes: int) -> Tensor | None:
        """Output (T, B, classes) of a local read-out of what the layer receives, or None if it has none."""
        return None

    def learn(self) -> None:
        """Called when a backward pass has filled the weights' gradients: trained feedback fills its own."""
        for part in self.parts:
            part.learn()

    def step(self) -> None:
        """Called after the optimizer has changed the weights."""
        for part in self.parts:
            part.step()

    def report_initial(self, observer: Observer) -> None:
        """Reports the weights copied when the feedback was made, to an observer that came later."""

    def refreshes(self, steps: int) -> dict[str, int] | None:
        """How often `step` changes each layer's feedback in so many training steps, by the layer's name.

        None where it does the same at every step.
        """
        return None

    def memory(self) -> int:
        """Scalars that the feedback stores."""
        return sum(tensor.numel() for tensor in (*self.buffers(), *self.parameters()))

    def report_product(self, index: int, kind: ProductKind, product: SynapticProduct) -> None:
        """Reports a product that the feedback made for a layer."""
        for observer in self.observers:
            observer.product(self.layers[index].name, kind, product)

    def report_draws(self, index: int, count: int, *, stored: bool = False) -> None:
        """Reports random numbers drawn for a layer, and whether they must be stored for a while."""
        for observer in self.observers:
            observer.drew(self.layers[index].name, count)
            if stored:
                observer.stored(self.layers[index].name, count)

    def report_released(self, index: int, count: int) -> None:
        """Reports that random numbers are no longer stored."""
        for observer in self.observers:
            observer.stored(self.layers[index].name, -count)

    def report_transport(self, index: int, moved: Transported) -> None:
        """Reports a copy of forward weights into feedback weights."""
        for observer in self.observers:
            observer.transport(self.layers[index].name, moved, initial=False)


class LayerwiseFeedback(Feedback, ABC):
    """Feedback that comes down layer by layer through weights of W's shape."""

    @abstractmethod
    def weight(self, index: int) -> Tensor: ...


class DirectFeedback(Feedback, ABC):
    """Feedback that comes to every hidden layer straight from the output, with no spatial backward pass."""

    direct = True

    @abstractmethod
    def project(self, signals: LossSignals, index: int, activity: Tensor) -> Tensor: ...
