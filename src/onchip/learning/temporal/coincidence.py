"""Credit for what meets in a time step, and nothing else of the past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from onchip.learning.interfaces import Temporal
from onchip.nn.neurons.base import Neuron, Tape

__all__ = ["Coincidences", "Counts"]


@dataclass(frozen=True)
class Coincidences(Temporal):
    """An update is the sum of what meets at a synapse in the same time step.

        ΔW = sum_t δ[t] ⊗ x[t]

    Reference: Biswas, Saraswat, Ganguly 2023 (SSNN-BP, arXiv 2207.09755).
    """

    streams: ClassVar[bool] = True

    def presynaptic(self, signal: Tensor, neuron: Neuron, before: Tensor | None) -> Tensor:
        return signal

    def static_factors(self, steps: int, neuron: Neuron, before: float) -> list[float]:
        return [1.0] * steps

    def error(self, neuron: Neuron, error: Tensor, tape: Tape) -> Tensor:
        return neuron.backward_local(error, tape)

    def sums(self, neuron: Neuron, error: Tensor, tape: Tape, weights: Sequence[float]) -> tuple[Tensor, Tensor]:
        return neuron.sums(error, tape, weights, through_time=False)


@dataclass(frozen=True)
class Counts(Coincidences):
    """An update is the product of two counts: a small counter at each neuron, for its spikes and its errors.

        ΔW = (sum_t δ[t]) ⊗ (sum_t x[t]) / T

    It has the mean of `Coincidences` and less noise, and T times fewer products.

    Reference: ours.
    """

    streams: ClassVar[bool] = False

    def met(self, pre: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
        # The share of steps, not their number: errors stay whole, and an input that is always on stays 1.
        return pre.mean(0), delta.sum(0)
