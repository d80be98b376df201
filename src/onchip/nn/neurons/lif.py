"""Leaky integrate-and-fire neurons, and the ones that do not leak."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from onchip._types import checked
from onchip.kernels import lif as kernel
from onchip.kernels import recurrent, static_drive
from onchip.kernels.table import compiled
from onchip.kernels.trace import trace
from onchip.nn.neurons.base import Adjoint, Drive, SavedTensors, State
from onchip.nn.neurons.spiking import Spiking, dense
from onchip.nn.signals import Static, tensor_of
from onchip.surrogate import Surrogate


class LIFState(NamedTuple):
    """What LIF neurons carry on in a stream.

    Args:
        membrane: v after the last time step, (B, features...).
        decay_eligibility: dv/dλ, (B, features...), where the decay is learned.
    """

    membrane: Tensor
    decay_eligibility: Tensor | None = None


@checked
class LIF(Spiking):
    """Leaky integrate-and-fire neurons in discrete time.

        u[t] = λ v[t-1] + I[t],   s[t] = 1 if u[t] >= θ else 0,   v[t] = u[t] - θ s[t]

    The hard reset has v[t] = u[t] (1 - s[t]) instead.

    Args:
        decay: λ, the share of the membrane kept from one step to the next, in [0, 1]: a number, or a tensor
            (features...) of one per neuron.
        threshold: θ > 0, in units of the drive.
        reset: `soft` subtracts the threshold, `hard` empties the membrane.
        surrogate: ψ, the derivative used for the spike.
        learn_decay: learn λ, one number for the layer or one per neuron as it was given, kept in (0, 1) by a logistic
            function.
        detach_reset: leave the reset out of the derivative through time.

    Raises:
        RequestError: a value out of range; when run, a `decay` whose shape is not that of the neurons.

    Example:
        >>> spikes = LIF()(torch.full((6, 1, 3), 0.6))  # constant drive, (T, B, features)
        >>> spikes[:, 0, 0].tolist()
        [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]

    Reference: Xiao et al. 2022 (OTTT, NeurIPS), equations 2 and 3. Decays per neuron: Perez-Nieves et al. 2021 (Nature
    Communications 12, 5791); learned ones: Fang et al. 2021 (ICCV).
    """

    fuses_pool = True

    def __init__(
        self,
        *,
        decay: float | Tensor = 0.5,
        threshold: float = 1.0,
        reset: Literal["soft", "hard"] = "soft",
        surrogate: Surrogate | None = None,
        learn_decay: bool = False,
        detach_reset: bool = False,
    ) -> None:
        super().__init__(decay, threshold, reset, surrogate, learn_decay, detach_reset)

    def takes_bfloat16(self) -> bool:
        return self.decay_parameter is None and not isinstance(self.constant("decay"), Tensor)

    def step(
        self, current: Tensor, states: tuple[Tensor, ...], decays: dict[str, float | Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        potential = current + decays["decay"] * states[0]
        spikes = self.fires(potential, self._threshold)
        return spikes, (self.reset(potential, spikes),)

    def run(self, drive: Drive, state: LIFState | None, pool: int | None) -> tuple[Tensor, SavedTensors, LIFState]:
        self.check(drive)
        steps = drive.steps if isinstance(drive, Static) else None
        current = dense(tensor_of(drive), batch_axis=steps is None)
        learns, membrane = self.decay_parameter is not None, self.membrane()
        shared = not learns and not isinstance(membrane.decay, Tensor)
        if steps is not None and state is None and shared and compiled(self.surrogate) is not None:
            done = static_drive.forward(current, steps, membrane, pool)
            if done is not None:
                spikes, last = done
                saved = SavedTensors({"drive": current.expand(steps, *current.shape)}, pool)
                return spikes, saved, LIFState(last)
        before = None if state is None else state.membrane
        spikes, potentials, last = kernel.forward(current, steps, membrane, before, pool)
        saved = SavedTensors({"potentials": potentials}, pool)
        if state is not None:
            saved.values |= {f"initial_{name}": value for name, value in state._asdict().items() if value is not None}
        # A learnable decay has an eligibility of its own, which a stream must carry on.
        eligible = self._eligibility(saved)
        return spikes, saved, LIFState(last, None if eligible is None else eligible[-1])

    def run_recurrent(
        self, drive: Tensor, weight: Tensor, state: Any, activity: Tensor
    ) -> tuple[SavedTensors, State] | None:
        if self.decay_parameter is not None:
            return None
        cell = self._cell(self.membrane())
        after = recurrent.forward(drive, weight, cell, self._states(state), activity[1:])
        return None if after is None else (SavedTensors({"potentials": drive}), self._state_of(after))

    def _states(self, state: Any) -> recurrent.States:
        """The states that compiled code starts from."""
        return recurrent.States(None if state is None else state.membrane)

    def _state_of(self, after: recurrent.States) -> State:
        """What such neurons carry on in a stream."""
        assert after.membrane is not None
        return LIFState(after.membrane)

    def backward_through_time(self, error: Tensor, saved: SavedTensors) -> Tensor:
        return self._backward(error, saved, self.membrane())

    def backward_own_state(self, error: Tensor, saved: SavedTensors) -> Tensor:
        return self._backward(error, saved, self.membrane(cut=True))

    def _backward(self, error: Tensor, saved: SavedTensors, membrane: kernel.Membrane) -> Tensor:
        past = self._past(saved)
        delta = kernel.backward(self._potentials(saved), error, membrane, self.surrogate, saved.pool)
        if past is not None:
            self._add_error(saved, "decay", delta * past)
        return delta

    def _adjoint(self, saved: SavedTensors, membrane: kernel.Membrane) -> Adjoint:
        past = self._past(saved)
        step = recurrent.backward_step(self._potentials(saved), membrane, self.surrogate)

        def error_at_drive(t: int, error: Tensor) -> Tensor:
            delta = step(t, error)
            if past is not None:
                self._add_error(saved, "decay", delta * past[t])
            return delta

        return error_at_drive

    def backward_local(self, error: Tensor, saved: SavedTensors) -> Tensor:
        eligible = self._eligibility(saved)
        delta = kernel.backward_local(self._potentials(saved), error, self.membrane(), self.surrogate, saved.pool)
        if eligible is not None:
            self._add_error(saved, "decay", delta * eligible)
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

    def _eligibility(self, saved: SavedTensors) -> Tensor | None:
        """du[t]/dλ with the reset detached, itself a trace: ε[t] = λ ε[t-1] + v[t-1], (T, B, features...).

        None where the decay is not learned, or the saved tensors are used up.
        """
        past = self._past(saved)
        if past is None:
            return None
        return trace(past, self.constant("decay"), saved.values.get("initial_decay_eligibility"))

    def _past(self, saved: SavedTensors) -> Tensor | None:
        """v[t-1] at every step t: (T, B, features...); None as of `_eligibility`."""
        if self.decay_parameter is None or "potentials" not in saved.values:
            return None
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

    def options(self) -> dict[str, Any]:
        own = super().options()
        return {name: own[name] for name in ("threshold", "reset", "surrogate", "detach_reset")}
