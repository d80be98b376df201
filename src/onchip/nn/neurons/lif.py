"""Leaky integrate-and-fire neurons, and the ones that do not leak."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from onchip.kernels import held
from onchip.kernels import lif as kernel
from onchip.kernels.trace import trace
from onchip.nn.neurons.base import Drive, SteppedNeuron, Tape, require
from onchip.nn.signals import Static
from onchip.surrogate import Sigmoid, Surrogate

__all__ = ["IF", "LIF"]


class LIF(SteppedNeuron):
    """Leaky integrate-and-fire neurons in discrete time.

        u[t] = λ v[t-1] + I[t],   s[t] = 1 if u[t] >= θ else 0,   v[t] = u[t] - θ s[t]

    The hard reset has v[t] = u[t] (1 - s[t]) instead.

    Args:
        decay: λ, the share of the membrane kept from one step to the next, in [0, 1].
        threshold: θ > 0, in units of the drive.
        reset: `soft` subtracts the threshold, `hard` empties the membrane.
        surrogate: ψ, the derivative used for the spike.
        learn_decay: make λ one learnable number for the layer, kept in (0, 1) by a logistic function.
        detach_reset: leave the reset out of the derivative through time.

    Raises:
        RequestError: a value out of range.

    Example:
        >>> spikes = LIF()(torch.full((6, 1, 3), 0.6))  # constant drive, (T, B, features)
        >>> spikes[:, 0, 0].tolist()
        [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]

    Reference: Xiao et al. 2022 (OTTT, NeurIPS), equations 2 and 3.
    """

    fuses_pool = True

    def __init__(
        self,
        *,
        decay: float = 0.5,
        threshold: float = 1.0,
        reset: Literal["soft", "hard"] = "soft",
        surrogate: Surrogate | None = None,
        learn_decay: bool = False,
        detach_reset: bool = False,
    ) -> None:
        super().__init__()
        require(0.0 <= decay <= 1.0, self, "decay", decay, "a number in [0, 1]")
        require(threshold > 0 and math.isfinite(threshold), self, "threshold", threshold, "a positive number")
        require(reset in ("soft", "hard"), self, "reset", repr(reset), "'soft' or 'hard'")
        if learn_decay:
            require(0.0 < decay < 1.0, self, "decay", decay, "a number inside (0, 1) for it to be learnable")
            self.decay_parameter = torch.nn.Parameter(torch.logit(torch.tensor(float(decay))))
        self.surrogate = Sigmoid() if surrogate is None else surrogate
        self._constants = kernel.Membrane(float(decay), float(threshold), reset == "hard", detach_reset)

    def decay(self) -> float:
        if self.decay_parameter is None:
            return self._constants.decay
        return torch.sigmoid(self.decay_parameter).item()

    def membrane(self) -> kernel.Membrane:
        """The neurons' constants as they are now."""
        now = self._constants
        return kernel.Membrane(self.decay(), now.threshold, now.hard, now.detach_reset)

    def forward(self, drive: Drive) -> Tensor:
        """Spikes (T, B, features...) from a drive (T, B, features...) or Static, from rest."""
        if torch.compiler.is_compiling():
            return self._unrolled(drive.expand() if isinstance(drive, Static) else drive)
        current = drive.image if isinstance(drive, Static) else drive
        steps = drive.steps if isinstance(drive, Static) else None
        decay = None if self.decay_parameter is None else torch.sigmoid(self.decay_parameter)
        spikes: Tensor = _Spikes.apply(current, decay, self, steps)
        return spikes

    def _unrolled(self, drive: Tensor) -> Tensor:
        """The same, written out for torch.compile, which makes one pass of it."""
        constants = self._constants
        decay = constants.decay if self.decay_parameter is None else torch.sigmoid(self.decay_parameter)
        membrane, fired = torch.zeros_like(drive[0]), []
        for current in drive.unbind():
            potential = current + decay * membrane
            spikes = _Fired.apply(potential, constants.threshold, self.surrogate)
            fired.append(spikes)
            constant = spikes.detach() if constants.detach_reset else spikes
            membrane = constants.reset(potential, constant)
        return torch.stack(fired)

    def run(self, drive: Drive, rest: Tensor | None, pool: int | None) -> tuple[Tensor, Tape, Tensor | None]:
        steps = drive.steps if isinstance(drive, Static) else None
        current = _dense(drive.image if isinstance(drive, Static) else drive, batch_axis=steps is None)
        learns = self.decay_parameter is not None
        if steps is not None and rest is None and not learns and self.surrogate.compiled() is not None:
            done = held.forward(current, steps, self.membrane(), pool)
            if done is not None:
                spikes, kept = done
                return spikes, Tape({"drive": current.expand(steps, *current.shape)}, pool), kept
        before = rest[0] if learns and rest is not None else rest
        spikes, potentials, kept = kernel.forward(current, steps, self.membrane(), before, pool)
        tape = Tape({"potentials": potentials}, pool)
        if rest is not None:
            tape.values["rest"] = rest
        if learns:
            # A learnable decay has an eligibility of its own, which a stream must carry on: (2, B, features...)
            kept = torch.stack([kept, self._eligibility(tape)[-1]])
        return spikes, tape, kept

    def spikes(self, activity: Tensor, pool: int) -> int:
        return round(float(activity.sum(dtype=torch.float64)) * pool * pool)

    def backward_through_time(self, error: Tensor, tape: Tape) -> Tensor:
        past = self._past(tape) if self.decay_parameter is not None else None
        delta = kernel.backward(self._potentials(tape), error, self.membrane(), self.surrogate, tape.pool)
        if past is not None:
            tape.values["decay_error"] = (delta * past).sum()
        return delta

    def backward_local(self, error: Tensor, tape: Tape) -> Tensor:
        eligible = self._eligibility(tape) if self.decay_parameter is not None else None
        delta = kernel.backward_local(self._potentials(tape), error, self.membrane(), self.surrogate, tape.pool)
        if eligible is not None:
            tape.values["decay_error"] = (delta * eligible).sum()
        return delta

    def sums(self, error: Tensor, tape: Tape, weights: Sequence[float], *, through_time: bool) -> tuple[Tensor, Tensor]:
        if "drive" in tape.values:
            drive, membrane = tape.values["drive"][0], self.membrane()
            done = held.sums(drive, error, membrane, self.surrogate, tape.pool, weights, through_time=through_time)
            if done is not None:
                tape.take("drive")
                return done
        return super().sums(error, tape, weights, through_time=through_time)

    def _potentials(self, tape: Tape) -> Tensor:
        """u (T, B, features...), to be overwritten; made anew where the tape has but the drive that was held."""
        if "drive" not in tape.values:
            return tape.take("potentials")
        drive = tape.take("drive")
        return kernel.forward(drive[0], len(drive), self.membrane(), None, tape.pool)[1]

    def _eligibility(self, tape: Tape) -> Tensor:
        """du[t]/dλ with the reset detached, itself a trace: ε[t] = λ ε[t-1] + v[t-1], (T, B, features...)."""
        rest = tape.values.get("rest")
        return trace(self._past(tape), self.decay(), None if rest is None else rest[1])

    def _past(self, tape: Tape) -> Tensor:
        """v[t-1] at every step t: (T, B, features...)."""
        potentials, membrane = tape.values["potentials"], self.membrane()
        past = torch.empty_like(potentials)
        rest = tape.values.get("rest")
        if rest is None:
            past[0].zero_()
        else:
            past[0].copy_(rest[0])
        spikes = (potentials[:-1] >= membrane.threshold).to(potentials.dtype)
        membrane.reset(potentials[:-1], spikes, out=past[1:])
        return past

    def extra_repr(self) -> str:
        now = self._constants
        learnt = ", learn_decay=True" if self.decay_parameter is not None else ""
        reset = "hard" if now.hard else "soft"
        return f"decay={self.decay():g}, threshold={now.threshold:g}, reset={reset!r}{learnt}"


class IF(LIF):
    """Integrate-and-fire neurons: `LIF` that does not leak, λ = 1.

    Args:
        threshold: θ > 0, in units of the drive.
        reset: `soft` subtracts the threshold, `hard` empties the membrane.
        surrogate: ψ, the derivative used for the spike.
        detach_reset: leave the reset out of the derivative through time.

    Raises:
        RequestError: a value out of range.
    """

    def __init__(
        self,
        *,
        threshold: float = 1.0,
        reset: Literal["soft", "hard"] = "soft",
        surrogate: Surrogate | None = None,
        detach_reset: bool = False,
    ) -> None:
        super().__init__(decay=1.0, threshold=threshold, reset=reset, surrogate=surrogate, detach_reset=detach_reset)


class _Spikes(torch.autograd.Function):
    """A layer of LIF neurons as plain autograd sees it: surrogate gradients through time."""

    @staticmethod
    def forward(ctx: Any, drive: Tensor, decay: Tensor | None, neuron: LIF, steps: int | None) -> Tensor:
        ctx.neuron, ctx.steps = neuron, steps
        # `fire` overwrites its drive, which here belongs to the caller.
        given: Drive = drive.clone() if steps is None else Static(drive, steps)
        spikes, ctx.tape, _ = neuron.run(given, None, None)
        return spikes

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.steps is None:
            delta = ctx.neuron.backward_through_time(error, ctx.tape)
        else:
            delta, _ = ctx.neuron.sums(error, ctx.tape, [1.0] * ctx.steps, through_time=True)
        return delta, ctx.tape.values.pop("decay_error", None), None, None


class _Fired(torch.autograd.Function):
    """Spikes of one step, with the surrogate as derivative."""

    @staticmethod
    def forward(ctx: Any, potential: Tensor, threshold: float, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(potential)
        ctx.threshold, ctx.surrogate = threshold, surrogate
        return (potential >= threshold).to(potential.dtype)

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor, None, None]:
        (potential,) = ctx.saved_tensors
        return ctx.surrogate.gate_(potential - ctx.threshold, error), None, None


def _dense(drive: Tensor, *, batch_axis: bool) -> Tensor:
    """The drive with its elements in one gapless order, as in-place scans need it."""
    folded = drive.flatten(0, 1) if batch_axis else drive
    if folded.is_contiguous():
        return drive
    if folded.dim() == 4 and folded.is_contiguous(memory_format=torch.channels_last):
        return drive
    return drive.contiguous()
