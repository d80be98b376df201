"""The interface of neurons, which do not depend on the learning rule that trains them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from onchip.errors import OnchipError, UnsupportedError
from onchip.kernels.lif import weighted_sum
from onchip.nn.signals import Signal, SignalKind

Drive = Signal
"""The input current of neurons: (K, B, features...), or one `Static` current for all time steps."""

Adjoint = Callable[[int, Tensor], Tensor]
"""Error (B, features...) at the drive of step t, from that at the activity of step t; t runs from T-1 down to 0."""

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

    def copy(self) -> SavedTensors:
        """The same with tensors of its own, for a second backward pass."""
        return SavedTensors({name: value.clone() for name, value in self.values.items()}, self.pool)

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

    recurs: ClassVar[bool] = False
    """Whether a `Recurrent` connection may lead from the neurons to themselves; they then define `adjoint`."""

    states: ClassVar[int] = 1
    """State variables that an update of a neuron reads and writes, as the ledger books them."""

    def __init__(self) -> None:
        super().__init__()  # torch's own takes any arguments

    def learned(self) -> dict[str, Tensor]:
        """Constants that are learned, by name, each computed from a parameter; a backward pass saves `<name>_error`."""
        return {}

    def takes_bfloat16(self) -> bool:
        """Whether `run` takes a drive in bfloat16 as well as in float32: its activity, and errors at it and at the
        drive, are then in bfloat16, and what it computes and carries over time in float32."""
        return False

    def draws(self) -> bool:
        """Whether the activity in evaluation depends on random numbers."""
        return False

    def options(self) -> dict[str, Any]:
        """What its class has to be called with for neurons like these, their learned constants as they are now.

        Raises:
            UnsupportedError: The class does not say.
        """
        raise UnsupportedError(
            f"{type(self).__name__} neurons do not say with which options they were made; define their method `options`"
        )

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

    def unrolled(self, drive: Tensor, returned: Callable[[Tensor], Tensor] | None) -> Tensor:
        """`forward` written out in plain torch for a tracer, of which torch.compile makes one pass.

        Args:
            drive: Input current, (T, B, features...).
            returned: What a recurrent connection adds to the drive for the activity of the step before, both
                (B, features...); None without one.
        """
        raise UnsupportedError(
            f"{type(self).__name__} neurons with a recurrent connection cannot be traced or exported; use LIF neurons, "
            "or the network itself"
        )

    def run_recurrent(
        self, drive: Tensor, weight: Tensor, state: Any, activity: Tensor
    ) -> tuple[SavedTensors, State | None] | None:
        """The same with the neurons' own activity, one step earlier, added to their drive through V, in one pass.

        Args:
            drive: Input current, (T, B, n); overwritten.
            weight: V, (n, n).
            state: As for `run`.
            activity: (T + 1, B, n), of which the first is that of the step before; the others are written.

        Returns:
            As `run`, without the activity; None, with nothing written, for neurons that have to be run step by step.
        """
        return None

    def backward_recurrent(self, error: Tensor, weight: Tensor, saved: SavedTensors) -> Tensor | None:
        """`backward_through_time` with the recurrent connection V, (n, n), included, in one pass.

        None, with nothing used up, for neurons that have to be run step by step.
        """
        return None

    @abstractmethod
    def backward_through_time(self, error: Tensor, saved: SavedTensors) -> Tensor:
        """Error at the drive (K, B, features...), earlier time steps included; uses `saved` up."""

    @abstractmethod
    def backward_local(self, error: Tensor, saved: SavedTensors) -> Tensor:
        """Error at the drive (K, B, features...) from the same time step only; uses `saved` up."""

    def adjoint(self, saved: SavedTensors, *, cut: bool) -> Adjoint:
        """The backward pass through time, one step at a time, so that a recurrent connection can add to each error.

        Args:
            saved: From the forward pass; used up.
            cut: Leave out the derivative of the reset. What remains is the neuron's own state: a spike's effect on
                other neurons, and on its own membrane, is left out.
        """
        raise UnsupportedError(f"{type(self).__name__} neurons have no derivative step by step")

    def backward_own_state(self, error: Tensor, saved: SavedTensors) -> Tensor:
        """Error at the drive (K, B, features...) through the neuron's own state, with the reset cut; uses `saved` up.

        Neurons whose state ends with the time step leave this as it is.
        """
        return self.backward_local(error, saved)

    def factorizes(self) -> bool:
        """Whether the derivative of the activity by a weight, through the neuron's own state with the reset cut, is
        ψ(u) times a presynaptic trace with these `decays`."""
        return self.decays() is not None

    def filters_output(self) -> tuple[float, ...] | None:
        """Leaky filters in series from the drive to the activity of a linear read-out; empty for other neurons.

        None where they differ between the neurons of the layer.
        """
        return ()

    def eligibility(
        self, pre: Tensor, local: Tensor, activity: Tensor, before: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Derivative of the activity at one time step by each weight, through the neuron's own state (reset cut).

        Args:
            pre: Activity at the synapses at this step, (B, in).
            local: ψ(u) at this step, (B, out).
            activity: Spikes of the neurons at this step, (B, out).
            before: State that the call at the step before returned; None at the first step.

        Returns:
            e (B, out, in), and the state to carry on.
        """
        decays = self.decays()
        if decays is None:
            raise UnsupportedError(f"{type(self).__name__} neurons with these time constants define no eligibility")
        states = []
        for number, decay in enumerate(decays):
            pre = pre if before is None else torch.add(pre, before[number], alpha=decay)
            states.append(pre)
        return local.unsqueeze(2) * pre.unsqueeze(1), tuple(states)

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

    def decays(self) -> tuple[float, ...] | None:
        """Factors, one per leaky filter in series, through which the drive of a synapse reaches the potential.

        Empty where nothing is kept over time; None where they differ between the neurons of the layer, so that no
        presynaptic trace serves all of them.
        """
        return ()

    def spikes(self, activity: Tensor, pool: int) -> int:
        """Number of spikes in this activity, which may have been average-pooled over squares of side `pool`."""
        return int(torch.count_nonzero(activity))

    def probability(self, saved: SavedTensors) -> Tensor | None:
        """Probability of the activity, (T, B, features...), where it is random; None where it is not."""
        return None

    def error_sent(self, delta: Tensor) -> Tensor:
        """The part of the error at the drive that is sent down to the presynaptic neurons."""
        return delta

    def error_received(self, error: Tensor) -> Tensor:
        """Error at the presynaptic signal, from what came down through the synapses."""
        return error
