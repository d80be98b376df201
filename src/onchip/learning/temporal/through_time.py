"""Backpropagation through time."""

from collections.abc import Sequence

from torch import Tensor

from onchip.errors import UnsupportedError
from onchip.kernels.trace import trace_adjoint_
from onchip.learning.description import UpdateForm
from onchip.learning.temporal.base import Temporal
from onchip.nn.neurons.base import Neuron


class ThroughTime(Temporal):
    """Errors propagate back through the neurons' states (BPTT).

    For neurons with spike times in closed form this is the exact derivative, without unrolling.
    """

    streams = False
    through_time = True

    def form(self, neuron: Neuron, readout: Neuron, *, last: bool, recurrent: bool) -> UpdateForm:
        if neuron.decays() == () and not recurrent:  # nothing is kept over time
            return super().form(neuron, readout, last=last, recurrent=recurrent)
        return UpdateForm((), (), "whole sequence")

    def learning_signal(self, error: Tensor, readout: Neuron) -> Tensor:
        return filtered_backward(error, self.readout_decays(readout))

    def readout_decays(self, readout: Neuron) -> Sequence[float]:
        return shared_filters(readout)


def filtered_backward(error: Tensor, decays: Sequence[float]) -> Tensor:
    """The error (T, B, classes) at the drive of a leaky read-out: that at its output, filtered backward in time."""
    for decay in decays:
        error = trace_adjoint_(error.clone(), decay)
    return error


def shared_filters(readout: Neuron) -> tuple[float, ...]:
    """Leaky filters from the drive of a read-out to its activity.

    Raises:
        UnsupportedError: They differ between its neurons.
    """
    filters = readout.filters_output()
    if filters is None:
        raise UnsupportedError(
            f"a {type(readout).__name__} with a time constant per neuron filters each error by its own, which direct "
            "feedback cannot send; use one time constant for the read-out"
        )
    return filters
