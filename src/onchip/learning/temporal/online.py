"""Presynaptic traces."""

from torch import Tensor

from onchip.kernels.trace import static_trace, trace
from onchip.learning.temporal.base import Temporal
from onchip.nn.neurons.base import Neuron


class Online(Temporal):
    """The past enters through a trace at the synapse's input; no error propagates back in time.

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
