"""Presynaptic traces."""

from collections.abc import Sequence

from torch import Tensor

from onchip.errors import UnsupportedError
from onchip.kernels.trace import scalar_trace, trace
from onchip.learning.description import Term, UpdateForm
from onchip.learning.temporal.base import Temporal, factors
from onchip.nn.neurons.base import Neuron


class Online(Temporal):
    """The past enters through a trace at the synapse's input; no error propagates back in time.

        a[t] = λ a[t-1] + x[t],   ΔW = sum_t (ψ(u[t]) g[t]) ⊗ a[t]

    Reference: Xiao et al. 2022 (OTTT, NeurIPS), equations 5 to 7.
    """

    streams = True
    causal = True

    def decays(self, neuron: Neuron) -> Sequence[float]:
        """Decays of the leaky filters in series that make a trace of the inputs of these neurons."""
        return common_decays(neuron)

    def form(self, neuron: Neuron, readout: Neuron, *, last: bool, recurrent: bool) -> UpdateForm:
        decays = tuple(self.decays(neuron))
        terms, bias = Term(1.0, decays, factors(neuron)), Term(1.0, (), factors(neuron))
        return UpdateForm((terms,), (bias,), "traces" if decays else "none")

    def presynaptic(
        self, signal: Tensor, neuron: Neuron, before: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        last = []
        for number, decay in enumerate(self.decays(neuron)):
            signal = trace(signal, decay, None if before is None else before[number])
            last.append(signal[-1])
        return signal, tuple(last)

    def readout_decays(self, readout: Neuron) -> Sequence[float]:
        return self.decays(readout)

    def static_factors(
        self, steps: int, neuron: Neuron, before: tuple[float, ...] | None
    ) -> tuple[list[float], tuple[float, ...]]:
        factors, last = [1.0] * steps, []
        for number, decay in enumerate(self.decays(neuron)):
            factors = scalar_trace(factors, decay, 0.0 if before is None else before[number])
            last.append(factors[-1])
        return factors, tuple(last)


def common_decays(neuron: Neuron) -> tuple[float, ...]:
    """The filters that the traces of all synapses share.

    Raises:
        UnsupportedError: the neurons of the layer differ in their time constants.
    """
    decays = neuron.decays()
    if decays is None:
        raise UnsupportedError(
            f"{type(neuron).__name__} has a time constant per neuron, so that no trace at a synapse's input serves all "
            "neurons; use one time constant per layer, or a rule with an eligibility per synapse, such as eprop"
        )
    return decays
