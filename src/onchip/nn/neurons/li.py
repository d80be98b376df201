"""The leaky read-out: what the last synapses deliver, low-pass filtered."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from onchip._types import checked
from onchip.kernels.trace import add_decayed, trace, trace_adjoint_
from onchip.nn.neurons.base import Adjoint, Drive, SavedTensors
from onchip.nn.neurons.leaky import Leaky
from onchip.nn.signals import expanded


class LIState(NamedTuple):
    """What a leaky read-out carries on in a stream.

    Args:
        output: y after the last time step, (B, features...).
        decay_eligibility: dy/dκ, (B, features...), where the decay is learned.
    """

    output: Tensor
    decay_eligibility: Tensor | None = None


@checked
class LI(Leaky):
    """Leaky integrators that do not fire, as a read-out: they close a network, and their outputs are its outputs.

        y[t] = κ y[t-1] + I[t]

    The class is read from the sum of y over time, as from a `Readout`.

    Args:
        decay: κ, the share of the output kept from one step to the next, in [0, 1]: a number, or a tensor (features...)
            of one per output.
        learn_decay: learn κ, one number for the layer or one per output as it was given, kept in (0, 1) by a logistic
            function.

    Raises:
        RequestError: a value out of range; when run, a `decay` whose shape is not that of the outputs.

    Example:
        >>> LI(decay=0.5)(torch.ones(3, 1, 2))[:, 0, 0].tolist()
        [1.0, 1.5, 1.75]

    Reference: Bellec et al. 2020 (e-prop, Nature Communications 11, 3625), equation 7.
    """

    readout = True

    def __init__(self, *, decay: float | Tensor = 0.9, learn_decay: bool = False) -> None:
        super().__init__()
        self._hold("decay", decay, learn=learn_decay)

    def options(self) -> dict[str, Any]:
        return {"decay": self.constant("decay"), "learn_decay": self.decay_parameter is not None}

    def step(
        self, current: Tensor, states: tuple[Tensor, ...], decays: dict[str, float | Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        output = current + decays["decay"] * states[0]
        return output, (output,)

    def run(self, drive: Drive, state: LIState | None, pool: int | None) -> tuple[Tensor, SavedTensors, LIState]:
        self.check(drive)
        output = trace(expanded(drive), self.constant("decay"), None if state is None else state.output)
        saved = SavedTensors({"steps": output.new_empty(0)})
        if self.decay_parameter is None:
            return output, saved, LIState(output[-1])
        first = torch.zeros_like(output[0]) if state is None else state.output
        saved.values["past"] = torch.cat([first.unsqueeze(0), output[:-1]])
        if state is not None and state.decay_eligibility is not None:
            saved.values["initial_decay_eligibility"] = state.decay_eligibility
        return output, saved, LIState(output[-1], self._eligibility(saved)[-1])

    def spikes(self, activity: Tensor, pool: int) -> int:
        return 0

    def filters_output(self) -> tuple[float, ...] | None:
        return self.decays()

    def backward_through_time(self, error: Tensor, saved: SavedTensors) -> Tensor:
        saved.take("steps")
        delta = trace_adjoint_(error.clone(), self.constant("decay"))
        if self.decay_parameter is not None:
            self._add_error(saved, "decay", delta * saved.values["past"])
        return delta

    def backward_own_state(self, error: Tensor, saved: SavedTensors) -> Tensor:
        return self.backward_through_time(error, saved)

    def backward_local(self, error: Tensor, saved: SavedTensors) -> Tensor:
        saved.take("steps")
        if self.decay_parameter is not None:
            self._add_error(saved, "decay", error * self._eligibility(saved))
        return error

    def adjoint(self, saved: SavedTensors, *, cut: bool) -> Adjoint:
        saved.take("steps")
        decay, later = self.constant("decay"), torch.empty(0)

        def error_at_drive(t: int, error: Tensor) -> Tensor:
            nonlocal later
            later = add_decayed(error, later, decay) if later.numel() else error
            if self.decay_parameter is not None:
                self._add_error(saved, "decay", later * saved.values["past"][t])
            return later

        return error_at_drive

    def _eligibility(self, saved: SavedTensors) -> Tensor:
        """dy[t]/dκ, itself a trace: ε[t] = κ ε[t-1] + y[t-1], (T, B, features...)."""
        return trace(saved.values["past"], self.constant("decay"), saved.values.get("initial_decay_eligibility"))

    def extra_repr(self) -> str:
        return self._described("decay") + (", learn_decay=True" if self.learned() else "")
