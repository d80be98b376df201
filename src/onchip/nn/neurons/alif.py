"""Leaky integrate-and-fire neurons with an adaptive threshold."""

import math
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from onchip._types import checked
from onchip.errors import require
from onchip.kernels import alif as kernel
from onchip.kernels import recurrent
from onchip.kernels.lif import Membrane, backward_local
from onchip.kernels.trace import add_decayed
from onchip.nn.neurons.base import Adjoint, Drive, SavedTensors
from onchip.nn.neurons.leaky import per_row, whole
from onchip.nn.neurons.spiking import Spiking, dense
from onchip.nn.signals import Static
from onchip.surrogate import Surrogate


class ALIFState(NamedTuple):
    """What adaptive neurons carry on in a stream.

    Args:
        membrane: v after the last time step, (B, features...).
        adaptation: a after the last time step, (B, features...).
        eligibility: Where the decays are learned: dv/dλ, da/dλ and da/dρ, (3, B, features...).
    """

    membrane: Tensor
    adaptation: Tensor
    eligibility: Tensor | None = None


@checked
class ALIF(Spiking):
    """Leaky integrate-and-fire neurons whose threshold rises with each of their spikes, and falls back slowly.

        u[t] = λ v[t-1] + I[t],   s[t] = 1 if u[t] >= θ + β a[t-1] else 0
        v[t] = u[t] - θ s[t],     a[t] = ρ a[t-1] + s[t]

    The hard reset has v[t] = u[t] (1 - s[t]) instead. The soft reset subtracts the threshold at rest, as in the paper,
    not the raised one. The surrogate derivative is taken at u[t] - θ - β a[t-1].

    Online rules with a trace at the synapse's input (`ottt`) see the membrane only; the adaptation has no trace there.

    Args:
        decay: λ, the share of the membrane kept from one step to the next, in [0, 1]: a number, or a tensor
            (features...) of one per neuron.
        threshold: θ > 0, the threshold at rest, in units of the drive.
        adaptation: β >= 0, how far a spike raises the threshold, in units of the drive.
        adaptation_decay: ρ, the share of the adaptation kept from one step to the next, in [0, 1), as `decay`.
        reset: `soft` subtracts the threshold, `hard` empties the membrane.
        surrogate: ψ, the derivative used for the spike.
        learn_decay: learn λ and ρ, each one number for the layer or one per neuron as it was given, kept in (0, 1) by a
            logistic function.
        detach_reset: leave the reset out of the derivative through time; the adaptation stays in it.

    Raises:
        RequestError: a value out of range; when run, decays whose shape is not that of the neurons.

    Example:
        >>> spikes = ALIF(adaptation=1.0)(torch.full((8, 1, 3), 1.2))
        >>> spikes[:, 0, 0].tolist()
        [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]

    Reference: Bellec et al. 2018 (LSNN, NeurIPS); Bellec et al. 2020 (e-prop, Nature Communications 11, 3625),
    equations 6, 8 and 9.
    """

    states = 2
    compared = "distances"

    def __init__(
        self,
        *,
        decay: float | Tensor = 0.5,
        threshold: float = 1.0,
        adaptation: float = 0.2,
        adaptation_decay: float | Tensor = 0.9,
        reset: Literal["soft", "hard"] = "soft",
        surrogate: Surrogate | None = None,
        learn_decay: bool = False,
        detach_reset: bool = False,
    ) -> None:
        super().__init__(decay, threshold, reset, surrogate, learn_decay, detach_reset)
        good = adaptation >= 0 and math.isfinite(adaptation)
        require(good, self, "adaptation", adaptation, "a finite number, at least 0")
        self._hold("adaptation_decay", adaptation_decay, learn=learn_decay, below_one=True)
        self.rise = float(adaptation)

    def step(
        self, current: Tensor, states: tuple[Tensor, ...], decays: dict[str, float | Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        membrane, adaptation = states
        potential = current + decays["decay"] * membrane
        spikes = self.fires(potential - self.rise * adaptation, self._threshold)
        return spikes, (self.reset(potential, spikes), decays["adaptation_decay"] * adaptation + spikes)

    def run(self, drive: Drive, state: ALIFState | None, pool: int | None) -> tuple[Tensor, SavedTensors, ALIFState]:
        self.check(drive)
        current = drive.expand().clone() if isinstance(drive, Static) else dense(drive, batch_axis=True)
        constants, learns = self._adaptive(self.membrane()), self.decay_parameter is not None
        membrane, adaptation = (None, None) if state is None else (state.membrane, state.adaptation)
        through_reset = self._hard and not self._detached
        scan = kernel.forward(
            current, constants, membrane, adaptation, potentials=learns or through_reset, adaptations=learns
        )
        named = {"potentials": scan.potentials, "past_adaptation": scan.adaptations}
        if state is not None and learns:
            named |= {"initial_membrane": state.membrane, "initial_eligibility": state.eligibility}
        values = {name: tensor for name, tensor in named.items() if tensor is not None}
        saved = SavedTensors({"distances": scan.distances, **values})
        eligibility = self._eligibility(saved)[2] if learns else None
        return scan.spikes, saved, ALIFState(scan.membrane, scan.adaptation, eligibility)

    def backward_through_time(self, error: Tensor, saved: SavedTensors) -> Tensor:
        return self._backward(error, saved, self.membrane())

    def backward_own_state(self, error: Tensor, saved: SavedTensors) -> Tensor:
        return self._backward(error, saved, self.membrane(cut=True))

    def _backward(self, error: Tensor, saved: SavedTensors, membrane: Membrane) -> Tensor:
        if self.decay_parameter is not None:
            return whole(self._adjoint(saved, membrane), error)
        constants, potentials = self._adaptive(membrane), saved.values.get("potentials")
        return kernel.backward(saved.take("distances"), potentials, error, constants, self.surrogate)

    def run_recurrent(
        self, drive: Tensor, weight: Tensor, state: ALIFState | None, activity: Tensor
    ) -> tuple[SavedTensors, ALIFState] | None:
        if self.decay_parameter is not None:
            return None
        potentials = torch.empty_like(drive) if self._hard and not self._detached else None
        before = recurrent.States(*((None,) * 3 if state is None else (state.membrane, None, state.adaptation)))
        cell = self._cell(self.membrane())
        after = recurrent.forward(drive, weight, cell, before, activity[1:], potentials)
        if after is None:
            return None
        assert after.membrane is not None
        assert after.adaptation is not None
        values = {"distances": drive} if potentials is None else {"distances": drive, "potentials": potentials}
        return SavedTensors(values), ALIFState(after.membrane, after.adaptation)

    def _cell(self, membrane: Membrane) -> recurrent.Cell:
        return recurrent.Cell(membrane, None, self.rise, self.constant("adaptation_decay"))

    def backward_local(self, error: Tensor, saved: SavedTensors) -> Tensor:
        eligible = None
        if self.decay_parameter is not None and "distances" in saved.values:
            eligible = self._eligibility(saved)[:2]
        delta = backward_local(saved.take("distances"), error, self.membrane(), self.surrogate, None)
        if eligible is not None:
            for name, of_decay in zip(("decay", "adaptation_decay"), eligible, strict=True):
                self._add_error(saved, name, delta * of_decay)
        return delta

    def _adjoint(self, saved: SavedTensors, membrane: Membrane) -> Adjoint:
        learns = self.decay_parameter is not None
        before = self._past(saved, saved.values["distances"]) if learns and "distances" in saved.values else None
        distances, constants = saved.take("distances"), self._adaptive(membrane)
        potentials = saved.values.get("potentials")
        through_reset = membrane.hard and not membrane.detach_reset
        back = kernel.StepBack(constants, self.surrogate)

        def error_at_drive(t: int, error: Tensor) -> Tensor:
            if learns and back.error_at_adaptation is not None:
                products = back.error_at_adaptation * saved.values["past_adaptation"][t]
                self._add_error(saved, "adaptation_decay", products)
            potential = potentials[t] if through_reset and potentials is not None else None
            delta = back(distances[t], potential, error)
            if before is not None:
                self._add_error(saved, "decay", delta * before[t])
            return delta

        if learns:
            # With one step only there is none at the decay of the adaptation.
            self._add_error(saved, "adaptation_decay", torch.zeros_like(distances[0]))
        return error_at_drive

    def factorizes(self) -> bool:
        return False

    def eligibility(
        self, pre: Tensor, local: Tensor, activity: Tensor, before: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """As of `Neuron`, with one state per synapse of the membrane, and one of the adaptation.

            ε[t] = λ ε[t-1] + x[t],   e[t] = ψ (ε[t] - β ε_a[t-1]),   ε_a[t] = ρ ε_a[t-1] + e[t]

        Reference: Bellec et al. 2020 (e-prop), equations 24 and 25.
        """
        decay, adaptation_decay = self.constant("decay"), self.constant("adaptation_decay")
        vectors = pre.unsqueeze(1)  # (B, 1, in), and (B, out, in) where λ differs between neurons
        if before is not None:
            vectors = vectors + per_row(decay) * before[0]
        rise = 0.0 if before is None else self.rise * before[1]
        eligible = local.unsqueeze(2) * (vectors - rise)
        carried = eligible if before is None else eligible + per_row(adaptation_decay) * before[1]
        return eligible, (self.kept(vectors, activity), carried)

    def options(self) -> dict[str, Any]:
        own = {"adaptation": self.rise, "adaptation_decay": self.constant("adaptation_decay")}
        return {**super().options(), **own}

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, adaptation={self.rise:g}"

    def _adaptive(self, membrane: Membrane) -> kernel.Adaptive:
        """The constants as they are now."""
        return kernel.Adaptive(membrane, self.rise, self.constant("adaptation_decay"))

    def _past(self, saved: SavedTensors, distances: Tensor) -> Tensor:
        """v[t-1] at every step t, (T, B, features...), from x, not overwritten yet, and u."""
        past = torch.empty_like(distances)
        initial = saved.values.get("initial_membrane")
        if initial is None:
            past[0].zero_()
        else:
            past[0].copy_(initial)
        spikes = (distances[:-1] >= self._threshold).to(distances.dtype)
        self.membrane().reset(saved.values["potentials"][:-1], spikes, out=past[1:])
        return past

    def _eligibility(self, saved: SavedTensors) -> tuple[Tensor, Tensor, Tensor]:
        """dx/dλ and dx/dρ at every step, (T, B, features...), and the state (3, B, features...) that they leave.

        They are the derivatives through the neuron's own state, with the reset cut, ψ being that of the step:

            dx/dλ = ε - β da/dλ,   ε = λ dv/dλ + v[t-1],   da/dλ <- (ρ - β ψ) da/dλ + ψ ε
            dx/dρ = - β da/dρ,     da/dρ <- (ρ - β ψ) da/dρ + a[t-1]
        """
        distances, decay, adaptation_decay = saved.values["distances"], *map(self.constant, self._decays)
        state = saved.values.get("initial_eligibility")
        if state is None:
            state = torch.zeros((3, *distances.shape[1:]), dtype=distances.dtype, device=distances.device)
        of_membrane, of_adaptation, of_own_decay = state
        eligible = self._past(saved, distances)
        for t, distance in enumerate(distances):
            add_decayed(eligible[t], of_membrane, decay, out=eligible[t])
            of_membrane = eligible[t]
            if self._hard:
                of_membrane = of_membrane.masked_fill(distance >= self._threshold, 0.0)
        slope = self.surrogate.gate_(distances - self._threshold, torch.ones_like(distances))
        kept, raised = adaptation_decay - self.rise * slope, slope * eligible
        by_decay, by_own = [], []
        for t, past in enumerate(saved.values["past_adaptation"]):
            by_decay.append(of_adaptation)
            by_own.append(of_own_decay)
            of_adaptation = torch.addcmul(raised[t], kept[t], of_adaptation)
            of_own_decay = torch.addcmul(past, kept[t], of_own_decay)
        state = torch.stack([of_membrane, of_adaptation, of_own_decay])
        return eligible.sub_(torch.stack(by_decay), alpha=self.rise), torch.stack(by_own).mul_(-self.rise), state
