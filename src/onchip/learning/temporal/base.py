"""Temporal credit: how earlier time steps enter an update."""

from abc import ABC
from typing import ClassVar

from torch import Tensor

from onchip.nn.neurons.base import Neuron
from onchip.nn.signals import fold_time


class Temporal(ABC):
    """Temporal credit of a rule; by default an update pairs signals and errors of the same time step only.

    Attributes:
        streams: Whether the credit of a time step is known at that step, so that a rule can learn during the input.
        through_time: Whether errors propagate back through the neurons' states.
    """

    streams: ClassVar[bool]
    through_time: ClassVar[bool] = False

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

    def update_rows(self, pre: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
        """The rows (N, features...) whose products are the update: each step of each sample."""
        return fold_time(pre), fold_time(delta)
