"""Credit through the state of the neuron itself: eligibility traces."""

from collections.abc import Sequence

from torch import Tensor

from onchip.learning.description import Term, UpdateForm
from onchip.learning.temporal.base import factors
from onchip.learning.temporal.online import Online
from onchip.learning.temporal.through_time import filtered_backward, shared_filters
from onchip.nn.neurons.base import Neuron, SavedTensors


class OwnState(Online):
    """The past enters through the state of the postsynaptic neuron; no error passes through the spikes of others.

        ΔW = sum_t L[t] ē[t],   e[t] = d s[t] / d W with the paths through spikes cut

    For neurons with decays that all neurons of a layer share, e[t] = ψ(u[t]) ⊗ a[t] with a presynaptic trace a, as in
    `Online`. For others, over a whole sequence, the adjoint of the neuron's state gives the same sum; in a stream each
    synapse keeps a state of its own.

    Args:
        filtered: Whether a leaky read-out, o[t] = κ o[t-1] + I[t], filters the learning signal: over a whole sequence L
            itself, backward in time; in a stream the eligibility, ē[t] = κ ē[t-1] + e[t], per synapse. Otherwise ē = e.

    Reference: Bellec et al. 2020 (Nature Communications 11, 3625), equations 1 and 4; 24 and 25 for ALIF.
    """

    causal = False  # over a whole sequence the adjoint runs backward in time

    def __init__(self, *, filtered: bool) -> None:
        self._filtered = filtered

    def form(self, neuron: Neuron, readout: Neuron, *, last: bool, recurrent: bool) -> UpdateForm:
        if not neuron.factorizes():
            return UpdateForm((), (), "state per synapse")
        filters = () if last else tuple(self.filters(readout))
        terms = (Term(1.0, tuple(self.decays(neuron)), factors(neuron), filters),)
        return UpdateForm(terms, terms, "state per synapse" if filters else "traces")

    def learning_signal(self, error: Tensor, readout: Neuron) -> Tensor:
        return filtered_backward(error, self.filters(readout))

    def filters(self, readout: Neuron) -> Sequence[float]:
        return shared_filters(readout) if self._filtered else ()

    def factorizes(self, neuron: Neuron) -> bool:
        return neuron.factorizes()

    def presynaptic(
        self, signal: Tensor, neuron: Neuron, before: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        return super().presynaptic(signal, neuron, before) if neuron.factorizes() else (signal, ())

    def static_factors(
        self, steps: int, neuron: Neuron, before: tuple[float, ...] | None
    ) -> tuple[list[float], tuple[float, ...]]:
        return super().static_factors(steps, neuron, before) if neuron.factorizes() else ([1.0] * steps, ())

    def bias_factors(
        self, steps: int, neuron: Neuron, before: tuple[float, ...] | None
    ) -> tuple[list[float] | None, tuple[float, ...]]:
        return self.static_factors(steps, neuron, before)  # a bias is the weight of an input that is constantly 1

    def plain(self, neuron: Neuron) -> bool:
        return neuron.factorizes()

    def errors(self, neuron: Neuron, error: Tensor, saved: SavedTensors, *, sends: bool) -> tuple[Tensor, Tensor]:
        if neuron.factorizes():
            return super().errors(neuron, error, saved, sends=sends)
        sent = neuron.backward_local(error, saved.copy()) if sends else error
        return neuron.backward_own_state(error, saved), sent
