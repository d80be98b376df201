"""The read-out of spike trains: what the last synapses deliver, as it is."""

from typing import Any

from torch import Tensor

from onchip._types import checked
from onchip.errors import require
from onchip.nn.neurons.base import Drive, Neuron, SavedTensors
from onchip.nn.signals import TIME_STEPS, expanded


@checked
class Readout(Neuron):
    """Linear units without memory or threshold: o[t] = I[t].

    A network's last Linear or Conv2d gets one where no neurons follow it.

    Args:
        trace: decay of the presynaptic trace from which online rules update the read-out, in (0, 1), as hidden layers
            are updated; None for its spikes alone, which is the exact gradient.

    Raises:
        RequestError: a decay out of range.

    Reference: Xiao et al. 2022 (OTTT, NeurIPS), whose classifier is such a layer.
    """

    signal = TIME_STEPS
    readout = optional = True

    def __init__(self, *, trace: float | None = None) -> None:
        super().__init__()
        require(trace is None or 0.0 < trace < 1.0, self, "trace", trace, "a decay in (0, 1), or None")
        self.trace = trace

    def options(self) -> dict[str, Any]:
        return {"trace": self.trace}

    def decays(self) -> tuple[float, ...]:
        return () if self.trace is None else (self.trace,)

    def forward(self, drive: Drive) -> Tensor:
        """The drive (T, B, features...), written out over time where it is Static."""
        return expanded(drive)

    def run(self, drive: Drive, state: None, pool: int | None) -> tuple[Tensor, SavedTensors, None]:
        return self.forward(drive), SavedTensors(), None

    def spikes(self, activity: Tensor, pool: int) -> int:
        return 0

    def backward_through_time(self, error: Tensor, saved: SavedTensors) -> Tensor:
        return error

    def backward_local(self, error: Tensor, saved: SavedTensors) -> Tensor:
        return error
