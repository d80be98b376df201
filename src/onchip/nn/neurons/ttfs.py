"""Neurons that fire at most once, with spike times in closed form (time to first spike).

Linear post-synaptic potentials and a linearly rising threshold make the spike time of a neuron a ratio of
two weighted sums over the inputs that fired, m_j = [t_j < inf], each one a pass through the same synapse:

    S = sum_j w_j m_j,   I = sum_j w_j m_j t_j,   potential minus threshold:  (1 + S) t - (2 + I) on [1, 2]

Times are relative to the layer's own window of length 1; windows of successive layers do not overlap.

Reference: Wei et al. 2023 (ICCV), dynamic firing threshold; used by Goupy et al. 2025 (arXiv 2505.13741).
"""

import math
from typing import Any

import torch
from torch import Tensor

from onchip._types import checked
from onchip.errors import require
from onchip.kernels.times import cross, fired_and_times
from onchip.nn.neurons.base import Drive, Neuron, SavedTensors
from onchip.nn.signals import SPIKE_TIMES, Signal, tensor_of
from onchip.surrogate import Surrogate


class _Timed(Neuron):
    """Base of layers that read spike times (B, features...), inf = silent."""

    signal = SPIKE_TIMES

    def synaptic_input(self, signal: Signal) -> Signal:
        """Two parts of the spike times, stacked (2, B, features...): [fired], and the time or 0."""
        return fired_and_times(tensor_of(signal))

    def backward_local(self, error: Tensor, saved: SavedTensors) -> Tensor:
        return self.backward_through_time(error, saved)

    def error_sent(self, delta: Tensor) -> Tensor:
        """Only the part of the times, (1, B, features...)."""
        return delta[1:]

    def error_received(self, error: Tensor) -> Tensor:
        """Error at the spike times (B, features...); the derivatives of silent neurons are 0, or a surrogate."""
        return error[0]


@checked
class TTFS(_Timed):
    """Neurons that fire at most once, at a time in closed form.

        start: S - I - 1 >= 0, fires at 0
        mid:   otherwise, and 2S - I > 0: fires at t* - 1 with t* = (2 + I) / (1 + S)
        else silent (inf)

    Gradients, at mid neurons only: dt/dI = 1 / (1+S), dt/dS = -t* / (1+S). The comparison for mid is strict:
    with >= a neuron without any input would fire at the end of its window.

    Whether a neuron fires has no derivative in the published recipe, although that changes the potentials above by
    more than a spike time does. A surrogate adds one, as other spiking neurons have it: seen from the read-out, a
    neuron's activity is 2 - t, or 0 if it is silent, so that it jumps from 0 to 1 at u = 2S - I = 0, where its spike
    comes in at the window's end. That step has the derivative ψ(u), and dt/dS is lower by 2 ψ(u), dt/dI higher by ψ(u),
    at all neurons. No other error has to be sent than that of the times. Hidden layers that follow are changed by
    a spike at the window's end by less than this assumes, by the time that is left until they fire.

    Args:
        clip: bound on each of the two partial derivatives, as in the published recipe; inf for the
            exact gradient.
        surrogate: ψ, the derivative of firing, such as `Triangle(2)`; None for none, as in the recipe.

    Raises:
        RequestError: a clip that is not positive.

    Reference: Goupy et al. 2025 (arXiv 2505.13741), section 3; Wei et al. 2023 (ICCV). The surrogate is ours.
    """

    def __init__(self, *, clip: float = 1.0, surrogate: Surrogate | None = None) -> None:
        super().__init__()
        require(clip > 0, self, "clip", clip, "a positive number, or inf for the exact gradient")
        self.clip = clip
        self.surrogate = surrogate

    def options(self) -> dict[str, Any]:
        return {"clip": self.clip, "surrogate": self.surrogate}

    def forward(self, drive: Drive) -> Signal:
        """Spike times (B, features...) from the two sums stacked, (2, B, features...)."""
        times, saved, _ = self.run(drive, None, None)
        if not (torch.is_grad_enabled() and isinstance(drive, Tensor) and drive.requires_grad):
            return times
        # The value is the time; the derivative is the recipe's, bounded partials and all.
        linear = (saved.values["partials"] * drive).sum(0)
        return times.detach() + (linear - linear.detach())

    def run(self, drive: Drive, state: None, pool: int | None) -> tuple[Tensor, SavedTensors, None]:
        assert isinstance(drive, Tensor), "spike times are never Static"
        times, partials = cross(drive.detach(), self.clip, self.surrogate)
        return times, SavedTensors({"partials": partials}), None

    def backward_through_time(self, error: Tensor, saved: SavedTensors) -> Tensor:
        return saved.take("partials").mul_(error)

    def spikes(self, activity: Tensor, pool: int) -> int:
        return int(torch.isfinite(activity).sum())

    def extra_repr(self) -> str:
        clip = "" if self.clip == 1.0 else f"clip={'inf' if math.isinf(self.clip) else format(self.clip, 'g')}"
        return ", ".join(
            part for part in (clip, "" if self.surrogate is None else f"surrogate={self.surrogate}") if part
        )


class TTFSReadout(_Timed):
    """Read-out of spike times: the potential at the window's end, without firing.

        logit = 2S - I = sum over fired j of w_j (2 - t_j)

    Reference: Wei et al. 2023 (ICCV); Goupy et al. 2025 (arXiv 2505.13741).
    """

    readout = True

    def options(self) -> dict[str, Any]:
        return {}

    def forward(self, drive: Drive) -> Signal:
        """Logits (B, classes) from the two sums stacked, (2, B, classes)."""
        assert isinstance(drive, Tensor), "spike times are never Static"
        return 2.0 * drive[0] - drive[1]

    def run(self, drive: Drive, state: None, pool: int | None) -> tuple[Tensor, SavedTensors, None]:
        logits = self.forward(drive)
        assert isinstance(logits, Tensor)
        return logits, SavedTensors(), None

    def backward_through_time(self, error: Tensor, saved: SavedTensors) -> Tensor:
        return torch.stack([2.0 * error, -error])

    def spikes(self, activity: Tensor, pool: int) -> int:
        return 0
