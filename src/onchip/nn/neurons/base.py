"""The interface of neurons, which do not depend on the learning rule that trains them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from onchip.errors import OnchipError
from onchip.kernels.lif import weighted_sum
from onchip.nn.signals import Signal, SignalKind

Drive = Signal
"""The input current of neurons: (K, B, features...), or one `Static` current for all time steps."""

State = tuple[Any, ...]
"""What neurons carry from one chunk of a stream to the next: a NamedTuple of tensors, defined by each neuron."""


@dataclass
class SavedTensors:
    """What a forward pass of neurons saves for its backward pass.

    Args:
        values: Tensors by the neuron's own names for them.
        pool: Side of the average pool that was fused into the forward pass; None without one.
    """

    values: dict[str, Tensor] = field(default_factory=dict)
    pool: int | None = None

    def take(self, name: str) -> Tensor:
        """Removes a saved tensor and returns it, to be overwritten.

        Raises:
            OnchipError: it was taken before, by an earlier backward pass.
        """
        if name not in self.values:
            raise OnchipError(
                "backward was called twice for one forward pass, whose state has been overwritten in place; "
                "call rule.forward again first"
            )
        return self.values.pop(name)


class Neuron(torch.nn.Module, ABC):
    """A layer of neurons: a drive and a state in, activity and the next state out, with its derivatives."""

    signal: ClassVar[SignalKind]
    """Kind of signal that these neurons exchange."""

    readout: ClassVar[bool] = False
    """Whether the layer closes a network, and may stand nowhere else."""

    optional: ClassVar[bool] = False
    """Whether a network need not name this read-out: it follows a last synaptic layer that has no neurons."""

    fuses_pool: ClassVar[bool] = False
    """Whether `run` can average-pool its own spikes in the same pass."""

    pools_spikes: ClassVar[bool] = True
    """Whether spikes may also be pooled after they were sent, which makes other numbers of them."""

    decay_parameter: torch.nn.Parameter | None
    """The learnable decay before its logistic function, where the neuron has one."""

    def __init__(self) -> None:
        super().__init__()
        # A class attribute of this name would keep torch from registering the parameter.
        self.register_parameter("decay_parameter", None)

    def synaptic_input(self, signal: Signal) -> Signal:
        """What the synapses are applied to: (K, B, features...), or `Static`; K = T where there are time steps."""
        return signal

    @abstractmethod
    def forward(self, drive: Drive) -> Signal:
        """Activity caused by a drive, from rest: plain torch, differentiable by autograd."""

    @abstractmethod
    def run(self, drive: Drive, state: Any, pool: int | None) -> tuple[Tensor, SavedTensors, State | None]:
        """One forward pass.

        Args:
            drive: Input current; it is overwritten.
            state: What an earlier call returned, to continue from it; None to begin at rest.
            pool: Side of an average pool to take in the same pass; None for none.

        Returns:
            Activity, what the backward pass needs, and the state after the last time step.
        """

    @abstractmethod
    def backward_through_time(self, error: Tensor, saved: SavedTensors) -> Tensor:
        """Error at the drive (K, B, features...), earlier time steps included; uses `saved` up."""

    @abstractmethod
    def backward_local(self, error: Tensor, saved: SavedTensors) -> Tensor:
        """Error at the drive (K, B, features...) from the same time step only; uses `saved` up."""

    def backward(self, error: Tensor, saved: SavedTensors, *, through_time: bool) -> Tensor:
        """Error at the drive by `backward_through_time`, or by `backward_local`."""
        return self.backward_through_time(error, saved) if through_time else self.backward_local(error, saved)

    def backward_sums(
        self, error: Tensor, saved: SavedTensors, weights: Sequence[float], *, through_time: bool
    ) -> tuple[Tensor, Tensor]:
        """Sums over t of weights[t] δ[t], and of δ[t], each (B, features...), of the errors δ at the drive.

        Neurons that need not write the errors out override this.
        """
        delta = self.backward(error, saved, through_time=through_time)
        total = weighted_sum(delta, weights)
        return total, total if all(weight == 1.0 for weight in weights) else delta.sum(0)

    def decay(self) -> float | None:
        """Factor by which the state decays per time step; None where nothing is kept over time."""
        return None

    def spikes(self, activity: Tensor, pool: int) -> int:
        """Number of spikes in this activity, which may have been average-pooled over squares of side `pool`."""
        return int(torch.count_nonzero(activity))

    def probability(self, saved: SavedTensors) -> Tensor | None:
        """Probability of the activity, (T, B, features...), where it is random; None where it is not."""
        return None

    def error_sent(self, delta: Tensor) -> Tensor:
        """The part of the error at the drive that is sent down to the presynaptic neurons."""
        return delta

    def error_received(self, error: Tensor, synaptic_input: Tensor) -> Tensor:
        """Error at the presynaptic signal, from what came down through the synapses."""
        return error
