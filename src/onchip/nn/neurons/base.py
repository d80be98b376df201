"""What the engine asks of a neuron. Neurons know nothing of learning rules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from onchip.errors import OnchipError, RequestError
from onchip.kernels.lif import weighted_sum
from onchip.nn.signals import Kind, Signal, Static

__all__ = ["Drive", "Neuron", "SteppedNeuron", "Tape"]

Drive = Tensor | Static
"""What reaches the neurons: (K, B, features...), or one `Static` drive held for all steps."""


@dataclass
class Tape:
    """What a neuron remembers of its forward pass until the error comes back.

    Args:
        values: tensors saved under the neuron's own names.
        pool: side of the average pool that was fused into the forward pass.
    """

    values: dict[str, Tensor] = field(default_factory=dict)
    pool: int | None = None

    def take(self, name: str) -> Tensor:
        """Hands out a saved tensor to be overwritten; a second call is an error."""
        if name not in self.values:
            raise OnchipError(
                "backward was called twice for one forward pass, whose state has been overwritten in place; "
                "call rule.forward again first"
            )
        return self.values.pop(name)


class Neuron(torch.nn.Module, ABC):
    """A layer of neurons: drive and state in, activity and state out, with its local derivative."""

    signal: ClassVar[Kind]
    """Kind of signal that these neurons exchange."""
    fuses_pool: ClassVar[bool] = False
    """Whether `fire` can average-pool its own spikes in the same pass."""
    decay_parameter: torch.nn.Parameter | None
    """Raw learnable decay, where the neuron has one."""

    def __init__(self) -> None:
        super().__init__()
        # A class attribute of this name would keep torch from registering the parameter.
        self.register_parameter("decay_parameter", None)

    @abstractmethod
    def planes(self, signal: Signal) -> Drive:
        """What the synapse must be applied to: (K, B, features...), or Static."""

    @abstractmethod
    def forward(self, drive: Drive) -> Signal:
        """Activity caused by a drive, from rest: plain torch, differentiable by autograd."""

    @abstractmethod
    def run(self, drive: Drive, rest: Tensor | None, pool: int | None) -> tuple[Tensor, Tape, Tensor | None]:
        """Activity, what `adjoint` and `local` need, and the state after the last step.

        The drive is overwritten. `rest` is the state before the first step, None at the start.
        """

    @abstractmethod
    def backward_through_time(self, error: Tensor, tape: Tape) -> Tensor:
        """Error at the drive (K, B, features...), the past included; spends the tape."""

    @abstractmethod
    def backward_local(self, error: Tensor, tape: Tape) -> Tensor:
        """Error at the drive (K, B, features...) of the same step only; spends the tape."""

    def sums(self, error: Tensor, tape: Tape, weights: Sequence[float], *, through_time: bool) -> tuple[Tensor, Tensor]:
        """Sum over t of weights[t] δ[t], and of δ[t], each (B, features...), of the errors δ at the drive.

        `adjoint` makes them, or `local` where not `through_time`. Neurons that need not write them out override this.
        """
        delta = self.backward_through_time(error, tape) if through_time else self.backward_local(error, tape)
        total = weighted_sum(delta, weights)
        return total, total if all(weight == 1.0 for weight in weights) else delta.sum(0)

    def decay(self) -> float | None:
        """Factor by which the state decays a step; None where nothing is kept over time."""
        return None

    def spikes(self, activity: Tensor, pool: int) -> int:
        """Spikes that were sent in this activity, which an average pool of that side may have been taken of."""
        return int(torch.count_nonzero(activity))

    def sent(self, delta: Tensor) -> Tensor:
        """The part of the error at the drive that is sent down to the presynaptic neurons."""
        return delta

    def arrive(self, pulled: Tensor, planes: Tensor) -> Tensor:
        """Error at the presynaptic signal, from what came down through the synapse."""
        return pulled


class SteppedNeuron(Neuron):
    """Base of neurons whose signals run over time steps, (T, B, features...)."""

    signal = "steps"

    def planes(self, signal: Signal) -> Drive:
        return signal


def require(condition: bool, owner: object, name: str, value: object, expected: str) -> None:
    """Raises RequestError unless an option of a neuron lies in its range."""
    if not condition:
        raise RequestError(f"{type(owner).__name__} got {name}={value}; expected {expected}")
