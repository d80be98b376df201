"""Temporal credit: how earlier time steps enter an update."""

from abc import ABC
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from onchip.learning.description import PostFactor, Term, UpdateForm
from onchip.nn.neurons.base import Neuron, SavedTensors
from onchip.nn.signals import fold_time


class Temporal(ABC):
    """Temporal credit of a rule; by default an update pairs signals and errors of the same time step only.

    Attributes:
        streams: Whether the credit of a time step is known at that step, so that a rule can learn during the input.
        through_time: Whether errors propagate back through the neurons' states.
        causal: Whether, over a whole sequence too, the factors of an update at a time step depend on no later step.
        pads: Whether sequences of unequal length may share a batch.
        three_factors: Whether an update is a sum of products of a presynaptic trace, a surrogate derivative and an
            error.
    """

    streams: bool
    through_time: ClassVar[bool] = False
    causal: ClassVar[bool] = False
    pads: bool = True
    three_factors: ClassVar[bool] = True

    def form(self, neuron: Neuron, readout: Neuron, *, last: bool, recurrent: bool) -> UpdateForm:
        """The update of the synapses of a layer over time steps, written out; by default one product at each.

        Args:
            neuron: The postsynaptic neurons.
            readout: Those of the last layer.
            last: Whether the layer is the last one.
            recurrent: Whether a recurrent connection leads from its neurons to themselves.
        """
        terms = (Term(1.0, (), factors(neuron)),)
        return UpdateForm(terms, terms, "none")

    def presynaptic(
        self, signal: Tensor, neuron: Neuron, before: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Presynaptic factor (K, B, features...) of the update, and the state to carry on in a stream.

        Args:
            signal: Activity at the synapses, (K, B, features...).
            neuron: The postsynaptic neurons.
            before: State that the call for the steps before returned; None at the start.
        """
        return signal, ()

    def static_factors(
        self, steps: int, neuron: Neuron, before: tuple[float, ...] | None
    ) -> tuple[list[float], tuple[float, ...]]:
        """The same for a signal that is constantly 1: one number per step, and the state to carry on."""
        return [1.0] * steps, ()

    def bias_factors(
        self, steps: int, neuron: Neuron, before: tuple[float, ...] | None
    ) -> tuple[list[float] | None, tuple[float, ...]]:
        """Factor of the bias's update at each step, None for 1, and the state to carry on."""
        return None, ()

    def factorizes(self, neuron: Neuron) -> bool:
        """Whether the update of these neurons' synapses is a sum of products of `presynaptic` factors and errors."""
        return True

    def filters(self, readout: Neuron) -> Sequence[float]:
        """Leaky filters of the read-out that the eligibility of all other layers passes in a stream."""
        return ()

    def learning_signal(self, error: Tensor, readout: Neuron) -> Tensor:
        """The error (K, B, classes) that direct feedback sends, for that at the output of a whole sequence."""
        return error

    def readout_decays(self, readout: Neuron) -> Sequence[float]:
        """Leaky filters in series that make, of activity, the traces from which the read-out's weights are updated.

        The update is then the product of these traces and the error at the output.
        """
        return ()

    def postsynaptic(
        self, neuron: Neuron, activity: Tensor, saved: SavedTensors, before: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, ...]:
        """Called after each forward pass of neurons: may add to `saved` what `errors` needs.

        Args:
            neuron: The neurons.
            activity: Their activity, (K, B, features...).
            saved: From their forward pass.
            before: State that the call for the steps before returned; None at the start.

        Returns:
            The state to carry on in a stream.
        """
        return ()

    def plain(self, neuron: Neuron) -> bool:
        """Whether `errors` is nothing but the backward pass of these neurons."""
        return True

    def errors(self, neuron: Neuron, error: Tensor, saved: SavedTensors, *, sends: bool) -> tuple[Tensor, Tensor]:
        """Errors at the drive (K, B, features...), for the update and to be sent on; uses `saved` up.

        Args:
            neuron: The neurons.
            error: Error at their activity.
            saved: From their forward pass.
            sends: Whether the second result is needed.
        """
        delta = neuron.backward(error, saved, through_time=self.through_time)
        return delta, delta

    def update_rows(self, pre: Tensor, delta: Tensor, present: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The rows (N, features...) whose products are the update: each step of each sample.

        Args:
            pre: Presynaptic factor (K, B, features...).
            delta: Error at the drive (K, B, features...), 0 in the padding.
            present: Which steps of a padded sequence are its own, (K, B) bool; None for all.
        """
        return fold_time(pre), fold_time(delta)


def factors(neuron: Neuron) -> tuple[PostFactor, ...]:
    """The postsynaptic factors of an error that is known at each time step."""
    error = PostFactor("error")
    return (error,) if neuron.readout else (error, PostFactor("slope"))
