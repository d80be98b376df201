"""Leaky integrate-and-fire neurons, and the ones that do not leak."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from onchip._types import checked
from onchip.errors import require
from onchip.kernels import lif as kernel
from onchip.kernels import recurrent, static_drive
from onchip.kernels.table import compiled
from onchip.kernels.trace import trace
from onchip.kernels.tracing import scripted, traced
from onchip.nn.neurons.base import Adjoint, Drive, Neuron, SavedTensors
from onchip.nn.signals import TIME_STEPS, Static, expanded, fold_time, tensor_of
from onchip.surrogate import Sigmoid, Surrogate


class LIFState(NamedTuple):
    """What LIF neurons carry on in a stream.

    Args:
        membrane: v after the last time step, (B, features...).
        decay_eligibility: dv/dλ, (B, features...), where the decay is learned.
    """

    membrane: Tensor
    decay_eligibility: Tensor | None = None


@checked
class LIF(Neuron):
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

    signal = TIME_STEPS
    fuses_pool = True
    recurs = True

    decay_parameter: torch.nn.Parameter | None

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
        # A class attribute of this name would keep torch from registering the parameter.
        self.register_parameter("decay_parameter", None)
        require(0.0 <= decay <= 1.0, self, "decay", decay, "a number in [0, 1]")
        require(threshold > 0 and math.isfinite(threshold), self, "threshold", threshold, "a positive number")
        if learn_decay:
            require(0.0 < decay < 1.0, self, "decay", decay, "a number inside (0, 1) for it to be learnable")
            self.decay_parameter = torch.nn.Parameter(torch.logit(torch.tensor(float(decay))))
        self.surrogate = Sigmoid() if surrogate is None else surrogate
        self._constants = kernel.Membrane(float(decay), float(threshold), reset == "hard", detach_reset)

    def decay(self) -> float:
        """λ as it is now."""
        if self.decay_parameter is None:
            return self._constants.decay
        return torch.sigmoid(self.decay_parameter).item()

    def decays(self) -> tuple[float, ...]:
        return (self.decay(),)

    def learned(self) -> dict[str, Tensor]:
        return {} if self.decay_parameter is None else {"decay": torch.sigmoid(self.decay_parameter)}

    def membrane(self) -> kernel.Membrane:
        """The neurons' constants as they are now."""
        now = self._constants
        return kernel.Membrane(self.decay(), now.threshold, now.hard, now.detach_reset)

    def forward(self, drive: Drive) -> Tensor:
        """Spikes (T, B, features...) from a drive (T, B, features...) or Static, from rest."""
        if traced():
            return self._unrolled(expanded(drive))
        current = tensor_of(drive)
        steps = drive.steps if isinstance(drive, Static) else None
        decay = None if self.decay_parameter is None else torch.sigmoid(self.decay_parameter)
        spikes: Tensor = _Spikes.apply(current, decay, self, steps)
        return spikes

    def _unrolled(self, drive: Tensor) -> Tensor:
        """The same, written out for a tracer; torch.compile makes one pass of it."""
        constants = self._constants
        decay = constants.decay if self.decay_parameter is None else torch.sigmoid(self.decay_parameter)
        # A TorchScript trace has no derivatives, and cannot be stored with a function of Python's in it.
        fires = _Fired.forward_only if scripted() else _Fired.apply
        membrane, fired = torch.zeros_like(drive[0]), []
        for current in drive.unbind():
            potential = current + decay * membrane
            spikes = fires(potential, constants.threshold, self.surrogate)
            fired.append(spikes)
            constant = spikes.detach() if constants.detach_reset else spikes
            membrane = constants.reset(potential, constant)
        return torch.stack(fired)

    def run(self, drive: Drive, state: LIFState | None, pool: int | None) -> tuple[Tensor, SavedTensors, LIFState]:
        steps = drive.steps if isinstance(drive, Static) else None
        current = _dense(tensor_of(drive), batch_axis=steps is None)
        learns = self.decay_parameter is not None
        if steps is not None and state is None and not learns and compiled(self.surrogate) is not None:
            done = static_drive.forward(current, steps, self.membrane(), pool)
            if done is not None:
                spikes, last = done
                saved = SavedTensors({"drive": current.expand(steps, *current.shape)}, pool)
                return spikes, saved, LIFState(last)
        before = None if state is None else state.membrane
        spikes, potentials, last = kernel.forward(current, steps, self.membrane(), before, pool)
        saved = SavedTensors({"potentials": potentials}, pool)
        if state is not None:
            saved.values |= {f"initial_{name}": value for name, value in state._asdict().items() if value is not None}
        # A learnable decay has an eligibility of its own, which a stream must carry on.
        return spikes, saved, LIFState(last, self._eligibility(saved)[-1] if learns else None)

    def run_recurrent(
        self, drive: Tensor, weight: Tensor, state: LIFState | None, last: Tensor | None
    ) -> tuple[Tensor, SavedTensors, LIFState] | None:
        if self.decay_parameter is not None:
            return None
        rest = None if state is None else state.membrane
        done = recurrent.forward(drive, weight, self.membrane(), rest, last)
        if done is None:
            return None
        spikes, potentials, after = done
        saved = SavedTensors(
            {"potentials": potentials} if rest is None else {"potentials": potentials, "initial_membrane": rest}
        )
        return spikes, saved, LIFState(after)

    def spikes(self, activity: Tensor, pool: int) -> int:
        return round(float(activity.sum(dtype=torch.float64)) * pool * pool)

    def backward_through_time(self, error: Tensor, saved: SavedTensors) -> Tensor:
        return self._backward(error, saved, self.membrane())

    def backward_own_state(self, error: Tensor, saved: SavedTensors) -> Tensor:
        return self._backward(error, saved, replace(self.membrane(), detach_reset=True))

    def _backward(self, error: Tensor, saved: SavedTensors, membrane: kernel.Membrane) -> Tensor:
        past = self._past(saved) if self.decay_parameter is not None else None
        delta = kernel.backward(self._potentials(saved), error, membrane, self.surrogate, saved.pool)
        if past is not None:
            saved.values["decay_error"] = (delta * past).sum()
        return delta

    def adjoint(self, saved: SavedTensors, *, cut: bool) -> Adjoint:
        past = self._past(saved) if self.decay_parameter is not None else None
        potentials, membrane = self._potentials(saved), self.membrane()
        membrane = replace(membrane, detach_reset=cut or membrane.detach_reset)
        if past is not None:
            saved.values["decay_error"] = past.new_zeros(())

        step = recurrent.backward_step(potentials, membrane, self.surrogate)

        def error_at_drive(t: int, error: Tensor) -> Tensor:
            delta = step(t, error)
            if past is not None:
                saved.values["decay_error"] += (delta * past[t]).sum()
            return delta

        return error_at_drive

    def backward_local(self, error: Tensor, saved: SavedTensors) -> Tensor:
        eligible = self._eligibility(saved) if self.decay_parameter is not None else None
        delta = kernel.backward_local(self._potentials(saved), error, self.membrane(), self.surrogate, saved.pool)
        if eligible is not None:
            saved.values["decay_error"] = (delta * eligible).sum()
        return delta

    def backward_sums(
        self, error: Tensor, saved: SavedTensors, weights: Sequence[float], *, through_time: bool
    ) -> tuple[Tensor, Tensor]:
        if "drive" in saved.values:
            drive, membrane = saved.values["drive"][0], self.membrane()
            operands = drive, error, membrane, self.surrogate, saved.pool, weights
            done = static_drive.sums(*operands, through_time=through_time)
            if done is not None:
                saved.take("drive")
                return done
        return super().backward_sums(error, saved, weights, through_time=through_time)

    def _potentials(self, saved: SavedTensors) -> Tensor:
        """u (T, B, features...), to be overwritten; computed again where only a static drive was saved."""
        if "drive" not in saved.values:
            return saved.take("potentials")
        drive = saved.take("drive")
        return kernel.forward(drive[0], len(drive), self.membrane(), None, saved.pool)[1]

    def _eligibility(self, saved: SavedTensors) -> Tensor:
        """du[t]/dλ with the reset detached, itself a trace: ε[t] = λ ε[t-1] + v[t-1], (T, B, features...)."""
        return trace(self._past(saved), self.decay(), saved.values.get("initial_decay_eligibility"))

    def _past(self, saved: SavedTensors) -> Tensor:
        """v[t-1] at every step t: (T, B, features...)."""
        potentials, membrane = saved.values["potentials"], self.membrane()
        past = torch.empty_like(potentials)
        initial = saved.values.get("initial_membrane")
        if initial is None:
            past[0].zero_()
        else:
            past[0].copy_(initial)
        spikes = (potentials[:-1] >= membrane.threshold).to(potentials.dtype)
        membrane.reset(potentials[:-1], spikes, out=past[1:])
        return past

    def extra_repr(self) -> str:
        now = self._constants
        learned = ", learn_decay=True" if self.decay_parameter is not None else ""
        reset = "hard" if now.hard else "soft"
        return f"decay={self.decay():g}, threshold={now.threshold:g}, reset={reset!r}{learned}"


@checked
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
        spikes, ctx.saved, _ = neuron.run(given, None, None)
        return spikes

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.steps is None:
            delta = ctx.neuron.backward_through_time(error, ctx.saved)
        else:
            delta, _ = ctx.neuron.backward_sums(error, ctx.saved, [1.0] * ctx.steps, through_time=True)
        return delta, ctx.saved.values.pop("decay_error", None), None, None


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


def _dense(drive: Tensor, *, batch_axis: bool) -> Tensor:
    """The drive with its elements in one gapless order, as in-place scans need it."""
    folded = fold_time(drive) if batch_axis else drive
    if folded.is_contiguous():
        return drive
    if folded.dim() == 4 and folded.is_contiguous(memory_format=torch.channels_last):
        return drive
    return drive.contiguous()
