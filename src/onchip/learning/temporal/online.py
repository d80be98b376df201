"""What of the past counts."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from onchip.kernels.trace import static_trace, trace
from onchip.learning.interfaces import Temporal
from onchip.nn.neurons.base import Neuron, Tape

__all__ = ["Online", "ThroughTime"]


class ThroughTime(Temporal):
    """All of the past counts: errors travel back through the neurons' states (BPTT).

    For neurons with spike times in closed form this is their exact derivative; there is no time to unroll.
    """

    streams = False

    def presynaptic(self, signal: Tensor, neuron: Neuron, before: Tensor | None) -> Tensor:
        return signal

    def static_factors(self, steps: int, neuron: Neuron, before: float) -> list[float]:
        return [1.0] * steps

    def error(self, neuron: Neuron, error: Tensor, tape: Tape) -> Tensor:
        return neuron.backward_through_time(error, tape)

    def sums(self, neuron: Neuron, error: Tensor, tape: Tape, weights: Sequence[float]) -> tuple[Tensor, Tensor]:
        return neuron.sums(error, tape, weights, through_time=True)


class Online(Temporal):
    """The past counts through a trace at the synapse's input; no error travels back in time.

        a[t] = λ a[t-1] + x[t],   ΔW = sum_t (ψ(u[t]) g[t]) ⊗ a[t]

    Reference: Xiao et al. 2022 (OTTT, NeurIPS), equations 5 to 7.
    """

    streams = True

    def presynaptic(self, signal: Tensor, neuron: Neuron, before: Tensor | None) -> Tensor:
        decay = neuron.decay()
        return signal if decay is None else trace(signal, decay, before)

    def static_factors(self, steps: int, neuron: Neuron, before: float) -> list[float]:
        decay = neuron.decay()
        return [1.0] * steps if decay is None else static_trace(steps, decay, before)

    def error(self, neuron: Neuron, error: Tensor, tape: Tape) -> Tensor:
        return neuron.backward_local(error, tape)

    def sums(self, neuron: Neuron, error: Tensor, tape: Tape, weights: Sequence[float]) -> tuple[Tensor, Tensor]:
        return neuron.sums(error, tape, weights, through_time=False)
