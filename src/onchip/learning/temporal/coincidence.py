"""Temporal credit within each time step only."""

from dataclasses import dataclass

from torch import Tensor

from onchip.learning.description import PostFactor, Term, UpdateForm
from onchip.learning.padding import mean_over
from onchip.learning.temporal.base import Temporal, factors
from onchip.nn.neurons.base import Neuron


@dataclass(frozen=True)
class Coincidences(Temporal):
    """Sums the products of spike and error at a synapse in the same time step.

        ΔW = sum_t δ[t] ⊗ x[t]

    Reference: Biswas, Saraswat, Ganguly 2023 (SSNN-BP, arXiv 2207.09755).
    """

    streams = True
    causal = True


@dataclass(frozen=True)
class Counts(Temporal):
    """Multiplies two counts per synapse, from small counters of each neuron's spikes and errors.

        ΔW = (sum_t δ[t]) ⊗ (sum_t x[t]) / T

    It has the mean of `Coincidences` and less noise, and T times fewer products.

    Reference: ours.
    """

    streams = False

    def form(self, neuron: Neuron, readout: Neuron, *, last: bool, recurrent: bool) -> UpdateForm:
        counted = Term(1.0, (), (PostFactor("error sum"),), input_mean=True)
        return UpdateForm((counted,), (Term(1.0, (), factors(neuron)),), "traces", per_sequence=True)

    def update_rows(self, pre: Tensor, delta: Tensor, present: Tensor | None = None) -> tuple[Tensor, Tensor]:
        # The mean, not the sum, of the input: error counts stay whole, and an input that is always on stays 1.
        return mean_over(pre, 0, present).squeeze(0), delta.sum(0)
