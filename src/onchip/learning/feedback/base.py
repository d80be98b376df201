"""Spatial credit: the error that reaches each layer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from onchip.certificates import Claims
from onchip.errors import OnchipError, UnsupportedError
from onchip.learning.description import ErrorPath
from onchip.learning.observers import Observer, ProductKind
from onchip.learning.ranks import ALONE, Ranks
from onchip.nn.graph import SynapticLayer
from onchip.nn.signals import Signal
from onchip.nn.synapses.product import SynapticProduct
from onchip.transport import Transported


@dataclass(frozen=True)
class LossSignals:
    """Value and derivatives of the loss for one forward pass.

    Args:
        error: e, the derivative at the output, (T, B, classes) or (B, classes).
        sent: What direct feedback sends of it: e, or e filtered backward in time as a leaky read-out filters it.
        local: Derivatives at the outputs of local read-outs, by the index of their layer; empty without read-outs.
        loss: Value as a scalar (), per sample (B,), or per time step and sample (T, B), with the loss as its mean.
        targets: What the error would be for the loss -mean o_y, of the error's shape; None unless the feedback is
            `by_target`.
    """

    error: Tensor
    sent: Tensor
    local: Mapping[int, Tensor]
    loss: Tensor
    targets: Tensor | None = None


class Feedback(nn.Module):
    """Spatial credit of a rule; a checkpoint stores its buffers and parameters.

    An index is always a layer's position in `layers`; that of hidden activity belongs to the layer that receives it.
    All hooks do nothing by default, except that hooks without a result call those of parts registered as submodules.

    Attributes:
        layers: Synaptic layers of the network; set by the rule before `attach`.
        hidden: Indices of the layers whose input gets an error of its own under direct feedback; set like `layers`.
        senders: Indices of the layers whose synapses send errors: down to the layer below, or, for a recurrent
            connection under credit through time, to the step before; set like `layers`.
        observers: Observers of products and weight transport; set like `layers`.
        ranks: The processes that share each batch, over which sums and means over samples go; set like `layers`.
        present: Which steps of the padded sequences of the last forward pass are their own, (T, B) bool, from which
            alone feedback may learn; None for all.
        direct: Whether errors come straight from the output, so that none passes from layer to layer.
        readout_decays: Returns the decays of the traces from which the read-out is updated; set like `layers`.
        claims: What a rule with this feedback claims, as far as temporal credit and error code allow.
        twin: Whether each feedback weight computes the update of its forward weight by a product of its own.
        by_sample: Whether it needs the loss per time step and sample, and not only the error at the output.
        by_target: Whether it needs the targets.
        at_neurons: Whether noise is added to the neurons' drive and errors arrive at their spikes, before any pool,
            instead of both at the inputs of layers.
        perturbs: Whether it adds noise to the forward pass in training.
        mirrors: Whether it learns from the responses of recurrent connections.
        first_refresh: Training steps before the first refresh of feedback weights; 0 without refreshes.
    """

    layers: tuple[SynapticLayer, ...] = ()
    hidden: tuple[int, ...] = ()
    senders: tuple[int, ...] = ()
    observers: tuple[Observer, ...] = ()
    ranks: Ranks = ALONE
    readout_decays: Callable[[], Sequence[float]] = staticmethod(tuple)
    present: Tensor | None = None
    claims: Claims = Claims()
    direct: ClassVar[bool] = False
    twin: ClassVar[bool] = False
    by_sample: ClassVar[bool] = False
    mirrors: ClassVar[bool] = False
    by_target: bool = False
    at_neurons: bool = False
    perturbs: bool = False
    first_refresh: int = 0

    @property
    def parts(self) -> Iterator[Feedback]:
        """Feedback that this one consists of."""
        return (child for child in self.children() if isinstance(child, Feedback))

    def attach(self) -> None:
        """Creates the feedback weights for `layers`; called once, when the rule is created."""
        for part in self.parts:
            part.attach()

    def weight(self, index: int) -> Tensor:
        """B of one of the `senders`, of W's shape, through which its errors go."""
        raise OnchipError(f"{type(self).__name__} sends no error from layer to layer")

    def project(self, signals: LossSignals, index: int, activity: Tensor) -> Tensor:
        """Error at the input of a layer, of the input's shape, straight from the output.

        Args:
            signals: Value and derivatives of the loss.
            index: Index of the layer, at least 1.
            activity: Input of the layer, (T, B, features...) or (B, features...).
        """
        raise OnchipError(f"{type(self).__name__} sends errors from layer to layer only")

    def paths(self, above: Sequence[int]) -> tuple[ErrorPath, ...]:
        """Where the error at a layer's neurons comes from, written out; several errors add up.

        Args:
            above: Indices of the layers that its activity reaches, and of which errors come down if the feedback is
                not direct; with them that of its recurrent connection, if that sends errors.
        """
        raise UnsupportedError(
            f"{type(self).__name__} does not say where its errors come from; expected a method `paths`, as "
            "docs/extending.md describes it"
        )

    def stored_weight(self, index: int) -> Tensor | None:
        """B of the layer where it is stored beside W; None where it is computed when needed."""
        return None

    def stored_weights(self) -> dict[str, Tensor]:
        """Each `stored_weight` by the layer's name."""
        stored = {self.layers[index].name: self.stored_weight(index) for index in self.senders}
        return {name: weight for name, weight in stored.items() if weight is not None}

    def begin(self) -> None:
        """Called before each sequence or stream from which the rule may learn."""
        for part in self.parts:
            part.begin()

    def mark(self, present: Tensor | None) -> None:
        """Sets `present` before a forward pass in training."""
        self.present = present
        for part in self.parts:
            part.mark(present)

    def receive(self, index: int, activity: Tensor) -> Tensor:
        """Input of the layer in training, for activity (T, B, features...) sent to it; noise is added to a copy."""
        return activity

    def at_drive(self, index: int, drive: Signal) -> Signal:
        """Drive of the layer's neurons in training, for this drive (T, B, features...) or `Static`."""
        return drive

    def fired(self, index: int, activity: Tensor, probability: Tensor | None) -> None:
        """Called in training with the activity of the layer's neurons, and with its probability where it is random."""

    def recurred(self, index: int, responses: Tensor) -> None:
        """Called after `fired` with what a recurrent connection added to the drive, (T-1, B, features...).

        That is its response to the activity of the steps before the last. Only for feedback that `mirrors`.
        """

    def outcome(self, output: Tensor) -> None:
        """Called in training with the network's output, (T, B, classes) or (B, classes), before the backward pass."""
        for part in self.parts:
            part.outcome(output)

    def readout(self, index: int, activity: Tensor, classes: int) -> Tensor | None:
        """Output (T, B, classes) of a local read-out of the layer's input, or None without one."""
        return None

    def learn(self) -> None:
        """Called after a backward pass has filled the weights' gradients; trained feedback fills its own here."""
        for part in self.parts:
            part.learn()

    def step(self) -> None:
        """Called after the optimizer has changed the weights."""
        for part in self.parts:
            part.step()

    def report_initial(self, observer: Observer) -> None:
        """Reports the weights that `attach` copied to an observer that was added later."""

    def refreshes(self, steps: int) -> dict[str, int] | None:
        """Refreshes of feedback in that many training steps, by the layer's name; None where all steps are alike."""
        return None

    def memory(self) -> int:
        """Number of scalars that the feedback stores."""
        return sum(tensor.numel() for tensor in (*self.buffers(), *self.parameters()))

    def report_product(self, index: int, kind: ProductKind, product: SynapticProduct) -> None:
        """Reports a product that the feedback computed for a layer."""
        for observer in self.observers:
            observer.product(self.layers[index].name, kind, product)

    def report_draws(self, index: int, count: int, *, stored: bool = False) -> None:
        """Reports random numbers drawn for a layer, and whether they are stored until `report_released`."""
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
    """Feedback that passes from layer to layer through weights of W's shape."""

    @abstractmethod
    def weight(self, index: int) -> Tensor: ...


class DirectFeedback(Feedback, ABC):
    """Feedback that reaches every hidden layer straight from the output, without a spatial backward pass."""

    direct = True

    @abstractmethod
    def project(self, signals: LossSignals, index: int, activity: Tensor) -> Tensor: ...
