"""Leaky integrate-and-fire neurons with a synaptic current that decays on its own."""

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from onchip._types import checked
from onchip.kernels import recurrent
from onchip.kernels.lif import Membrane
from onchip.kernels.trace import add_decayed, trace, trace_adjoint_
from onchip.nn.neurons.base import Adjoint, Drive, SavedTensors, State
from onchip.nn.neurons.lif import LIF, LIFState
from onchip.nn.signals import expanded
from onchip.surrogate import Surrogate


class CubaLIFState(NamedTuple):
    """What such neurons carry on in a stream.

    Args:
        membrane: v after the last time step, (B, features...).
        current: i after the last time step, (B, features...).
        decay_eligibility: dv/dλ, (B, features...), where the decays are learned.
        current_eligibility: du/dα and di/dα, (2, B, features...), where the decays are learned.
    """

    membrane: Tensor
    current: Tensor
    decay_eligibility: Tensor | None = None
    current_eligibility: Tensor | None = None


@checked
class CubaLIF(LIF):
    """Leaky integrate-and-fire neurons whose drive is filtered to a synaptic current before it reaches the membrane.

        i[t] = α i[t-1] + I[t],   u[t] = λ v[t-1] + i[t],   s[t] = 1 if u[t] >= θ else 0,   v[t] = u[t] - θ s[t]

    The hard reset has v[t] = u[t] (1 - s[t]) instead; no reset touches the current. A drive reaches the membrane in the
    step in which it arrives, as in NIR's CubaLIF (τ_syn = dt / (1 - α), τ_mem = dt / (1 - λ), w_in = τ_syn / dt,
    R = τ_mem / dt, by Euler's method) and in snnTorch's `Synaptic` with `reset_delay=False`, whose soft reset differs
    where a membrane is above the threshold after it.

    Args:
        decay: λ, the share of the membrane kept from one step to the next, in [0, 1]: a number, or a tensor
            (features...) of one per neuron.
        current_decay: α, the share of the current kept from one step to the next, in [0, 1), as `decay`.
        threshold: θ > 0, in units of the drive.
        reset: `soft` subtracts the threshold, `hard` empties the membrane.
        surrogate: ψ, the derivative used for the spike.
        learn_decay: learn λ and α, each one number for the layer or one per neuron as it was given, kept in (0, 1) by a
            logistic function.
        detach_reset: leave the reset out of the derivative through time.

    Raises:
        RequestError: a value out of range; when run, decays whose shape is not that of the neurons.

    Example:
        >>> spikes = CubaLIF()(torch.tensor([1.2, 0.0, 0.0]).view(3, 1, 1))
        >>> spikes[:, 0, 0].tolist()  # half of the drive is left in the second step, and a spike's rest of 0.1
        [1.0, 0.0, 0.0]

    Reference: Davies et al. 2018 (Loihi, IEEE Micro 38), section on its neuron model, without its refractory delay.
    """

    states = 2
    filters = ("current_decay", "decay")

    def __init__(
        self,
        *,
        decay: float | Tensor = 0.5,
        current_decay: float | Tensor = 0.5,
        threshold: float = 1.0,
        reset: Literal["soft", "hard"] = "soft",
        surrogate: Surrogate | None = None,
        learn_decay: bool = False,
        detach_reset: bool = False,
    ) -> None:
        super().__init__(
            decay=decay,
            threshold=threshold,
            reset=reset,
            surrogate=surrogate,
            learn_decay=learn_decay,
            detach_reset=detach_reset,
        )
        self._hold("current_decay", current_decay, learn=learn_decay, below_one=True)

    def options(self) -> dict[str, Any]:
        return {**super().options(), "current_decay": self.constant("current_decay")}

    def takes_bfloat16(self) -> bool:
        return False  # the synaptic current would be rounded

    def step(
        self, current: Tensor, states: tuple[Tensor, ...], decays: dict[str, float | Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        membrane, synaptic = states
        synaptic = current + decays["current_decay"] * synaptic
        spikes, (membrane,) = super().step(synaptic, (membrane,), decays)
        return spikes, (membrane, synaptic)

    def run(  # type: ignore[override]  # a state of its own
        self, drive: Drive, state: CubaLIFState | None, pool: int | None
    ) -> tuple[Tensor, SavedTensors, CubaLIFState]:
        self.check(drive)
        before = None if state is None else LIFState(state.membrane, state.decay_eligibility)
        currents = trace(expanded(drive), self.constant("current_decay"), None if state is None else state.current)
        last = currents[-1].clone()  # which the potentials overwrite
        past = None
        if self.decay_parameter is not None:
            first = torch.zeros_like(last) if state is None else state.current
            past = torch.cat([first.unsqueeze(0), currents[:-1]])
        spikes, saved, after = super().run(currents, before, pool)
        eligibility = None
        if past is not None:
            saved.values["past_current"] = past
            if state is not None and state.current_eligibility is not None:
                saved.values["initial_current_eligibility"] = state.current_eligibility
            eligibility = torch.stack([each[-1] for each in self._current_eligibility(saved)])
        return spikes, saved, CubaLIFState(after.membrane, last, after.decay_eligibility, eligibility)

    def _cell(self, membrane: Membrane) -> recurrent.Cell:
        return recurrent.Cell(membrane, self.constant("current_decay"))

    def _states(self, state: Any) -> recurrent.States:
        return recurrent.States(*((None, None) if state is None else (state.membrane, state.current)))

    def _state_of(self, after: recurrent.States) -> State:
        assert after.membrane is not None
        assert after.current is not None
        return CubaLIFState(after.membrane, after.current)

    def _backward(self, error: Tensor, saved: SavedTensors, membrane: Membrane) -> Tensor:
        delta = trace_adjoint_(super()._backward(error, saved, membrane), self.constant("current_decay"))
        if "past_current" in saved.values:
            self._add_error(saved, "current_decay", delta * saved.values["past_current"])
        return delta

    def _adjoint(self, saved: SavedTensors, membrane: Membrane) -> Adjoint:
        through_membrane = super()._adjoint(saved, membrane)
        decay, later = self.constant("current_decay"), torch.empty(0)

        def error_at_drive(t: int, error: Tensor) -> Tensor:
            nonlocal later
            at_current = through_membrane(t, error)
            later = add_decayed(at_current, later, decay) if later.numel() else at_current.clone()
            if "past_current" in saved.values:
                self._add_error(saved, "current_decay", later * saved.values["past_current"][t])
            return later

        return error_at_drive

    def backward_local(self, error: Tensor, saved: SavedTensors) -> Tensor:
        eligible = None
        if self.decay_parameter is not None and "past_current" in saved.values:
            eligible = self._current_eligibility(saved)[0]
        delta = super().backward_local(error, saved)
        if eligible is not None:
            self._add_error(saved, "current_decay", delta * eligible)
        return delta

    def _current_eligibility(self, saved: SavedTensors) -> tuple[Tensor, Tensor]:
        """du/dα and di/dα at every step, (T, B, features...) each, with the reset detached: two traces of i[t-1]."""
        before = saved.values.get("initial_current_eligibility", (None, None))
        of_current = trace(saved.values["past_current"], self.constant("current_decay"), before[1])
        return trace(of_current, self.constant("decay"), before[0]), of_current
