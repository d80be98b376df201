"""Parts of rules that several methods share."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from onchip.credit import Code, Layered, Observer, Temporal
from onchip.kernels.trace import static_trace, trace
from onchip.neurons.base import Neuron, Tape
from onchip.plan import Stage
from onchip.transport import Transported

__all__ = ["Online", "Real", "ThroughTime", "Transposed"]


class Transposed(Layered):
    """Errors come down through the forward weights themselves.

    On a chip this is weight transport: the backward path must get a copy of W whenever W has changed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stages: tuple[Stage, ...] = ()
        self._current: set[int] = set()

    def attach(self, stages: Sequence[Stage]) -> None:
        self._stages = tuple(stages)

    def tell_initial(self, observer: Observer) -> None:
        """Nothing was copied before training: the first copy is made for the first step."""

    def weight(self, index: int) -> Tensor:
        stage = self._stages[index]
        if index not in self._current:
            self._current.add(index)
            self.tell_transport(stage, Transported.whole(stage.weight))
        return stage.weight

    def step(self) -> None:
        self._current.clear()


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
        return neuron.adjoint(error, tape)


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
        return neuron.local(error, tape)


class Real(Code):
    """Errors are real numbers."""

    def carry(self, delta: Tensor) -> Tensor:
        return delta
