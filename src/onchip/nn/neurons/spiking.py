"""Leaky neurons with a membrane that fire and are reset."""

import math
from abc import abstractmethod
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from onchip.errors import require
from onchip.kernels import recurrent
from onchip.kernels.lif import Membrane
from onchip.kernels.tracing import scripted
from onchip.nn.neurons.base import Adjoint, SavedTensors
from onchip.nn.neurons.leaky import Leaky
from onchip.nn.signals import fold_time
from onchip.surrogate import Sigmoid, Surrogate

Reset = Literal["soft", "hard"]


class Spiking(Leaky):
    """Base of neurons with a leaky membrane, a threshold, a reset and a surrogate derivative.

    Args:
        decay: λ, the share of the membrane kept from one step to the next, in [0, 1].
        threshold: θ > 0, in units of the drive.
        reset: `soft` subtracts the threshold, `hard` empties the membrane.
        surrogate: ψ, the derivative used for the spike; None for the default one.
        learn_decay: make the decays learnable.
        detach_reset: leave the reset out of the derivative through time.

    Raises:
        RequestError: a value out of range.
    """

    recurs = True

    compared: ClassVar[str] = "potentials"
    """Name of the saved tensor that is compared with the threshold, (T, B, features...)."""

    def __init__(
        self,
        decay: float | Tensor,
        threshold: float,
        reset: Reset,
        surrogate: Surrogate | None,
        learn_decay: bool,
        detach_reset: bool,
    ) -> None:
        super().__init__()
        self._hold("decay", decay, learn=learn_decay)
        require(threshold > 0 and math.isfinite(threshold), self, "threshold", threshold, "a positive number")
        self.surrogate = Sigmoid() if surrogate is None else surrogate
        self._threshold, self._hard, self._detached = float(threshold), reset == "hard", detach_reset

    def membrane(self, *, cut: bool = False) -> Membrane:
        """The constants of the membrane as they are now; `cut` leaves the reset out of the derivative."""
        return Membrane(self.constant("decay"), self._threshold, self._hard, cut or self._detached)

    def options(self) -> dict[str, Any]:
        return {
            "decay": self.constant("decay"),
            "threshold": self._threshold,
            "reset": "hard" if self._hard else "soft",
            "surrogate": self.surrogate,
            "learn_decay": self.decay_parameter is not None,
            "detach_reset": self._detached,
        }

    def factorizes(self) -> bool:
        return not self._hard and super().factorizes()

    def eligibility(
        self, pre: Tensor, local: Tensor, activity: Tensor, before: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        eligible, (*filters, membrane) = super().eligibility(pre, local, activity, before)
        return eligible, (*filters, self.kept(membrane, activity))

    def kept(self, derivative: Tensor, activity: Tensor) -> Tensor:
        """dv/dW of each synapse, (B, 1 or out, in), from du/dW: a hard reset leaves nothing where a neuron fired."""
        return derivative * (1 - activity).unsqueeze(2) if self._hard else derivative

    def spikes(self, activity: Tensor, pool: int) -> int:
        return round(float(activity.sum(dtype=torch.float64)) * pool * pool)

    def fires(self, potential: Tensor, threshold: float) -> Tensor:
        """Spikes of one step as tracers see them, with the surrogate as derivative."""
        # A TorchScript trace has no derivatives, and cannot be stored with a function of Python's in it.
        fired = _Fired.forward_only if scripted() else _Fired.apply
        spikes: Tensor = fired(potential, threshold, self.surrogate)
        return spikes

    def reset(self, potential: Tensor, spikes: Tensor) -> Tensor:
        """The membrane after a step, as tracers see it."""
        constant = spikes.detach() if self._detached else spikes
        return Membrane(0.0, self._threshold, self._hard, self._detached).reset(potential, constant)

    def backward_recurrent(self, error: Tensor, weight: Tensor, saved: SavedTensors) -> Tensor | None:
        if self.decay_parameter is not None or self.compared not in saved.values:
            return None
        potentials = None if self.compared == "potentials" else saved.values.get("potentials")
        distances, cell = saved.values[self.compared], self._cell(self.membrane())
        done = recurrent.backward(distances, potentials, error, weight, cell, self.surrogate)
        return saved.take(self.compared) if done else None

    def _cell(self, membrane: Membrane) -> recurrent.Cell:
        """The constants of the neurons for compiled code."""
        return recurrent.Cell(membrane)

    @abstractmethod
    def _adjoint(self, saved: SavedTensors, membrane: Membrane) -> Adjoint:
        """The backward pass step by step, for a membrane whose reset may be detached."""

    def adjoint(self, saved: SavedTensors, *, cut: bool) -> Adjoint:
        return self._adjoint(saved, self.membrane(cut=cut))

    def extra_repr(self) -> str:
        decays = ", ".join(self._described(name) for name in self._decays)
        learned = ", learn_decay=True" if self.learned() else ""
        return f"{decays}, threshold={self._threshold:g}, reset={'hard' if self._hard else 'soft'!r}{learned}"


class _Fired(torch.autograd.Function):
    """Spikes of one step, with the surrogate as derivative."""

    @staticmethod
    def forward(ctx: Any, potential: Tensor, threshold: float, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(potential)
        ctx.threshold, ctx.surrogate = threshold, surrogate
        return _Fired.forward_only(potential, threshold, surrogate)

    @staticmethod
    def forward_only(potential: Tensor, threshold: float, _: Surrogate) -> Tensor:
        return (potential >= threshold).to(potential.dtype)

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor, None, None]:
        (potential,) = ctx.saved_tensors
        return ctx.surrogate.gate_(potential - ctx.threshold, error), None, None


def dense(drive: Tensor, *, batch_axis: bool) -> Tensor:
    """The drive with its elements in one gapless order, as in-place scans need it."""
    folded = fold_time(drive) if batch_axis else drive
    if folded.is_contiguous():
        return drive
    if folded.dim() == 4 and folded.is_contiguous(memory_format=torch.channels_last):
        return drive
    return drive.contiguous()
