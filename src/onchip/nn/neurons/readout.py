"""The read-out of spike trains: what the last synapses deliver, as it is."""

from __future__ import annotations

from torch import Tensor

from onchip.nn.neurons.base import Drive, SteppedNeuron, Tape, require
from onchip.nn.signals import Static

__all__ = ["Readout"]


class Readout(SteppedNeuron):
    """Linear units without memory or threshold: o[t] = I[t].

    A network's last Linear or Conv2d gets one where no neurons follow it.

    Args:
        trace: decay of the presynaptic trace from which online rules update the read-out, in (0, 1), as hidden layers
            are updated; None for its spikes alone, which is the exact gradient.

    Raises:
        RequestError: a decay out of range.

    Reference: Xiao et al. 2022 (OTTT, NeurIPS), whose classifier is such a layer.
    """

    def __init__(self, *, trace: float | None = None) -> None:
        super().__init__()
        require(trace is None or 0.0 < trace < 1.0, self, "trace", trace, "a decay in (0, 1), or None")
        self.trace = trace

    def decay(self) -> float | None:
        return self.trace

    def forward(self, drive: Drive) -> Tensor:
        """The drive (T, B, features...), written out over time where it is Static."""
        return drive.expand() if isinstance(drive, Static) else drive

    def run(self, drive: Drive, rest: Tensor | None, pool: int | None) -> tuple[Tensor, Tape, Tensor | None]:
        return self.forward(drive), Tape(), None

    def spikes(self, activity: Tensor, pool: int) -> int:
        return 0

    def backward_through_time(self, error: Tensor, tape: Tape) -> Tensor:
        return error

    def backward_local(self, error: Tensor, tape: Tape) -> Tensor:
        return error
