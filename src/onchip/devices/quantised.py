"""Cells with a number of states: digital memory of few bits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from onchip.devices.cell import MemoryCell
from onchip.devices.crossbar import Crossbar
from onchip.errors import RequestError
from onchip.learning.lr_scaling import LRScaling
from onchip.learning.rule import Rule
from onchip.nn.synapses import Synapse

__all__ = ["Quantised", "quantised"]


def quantised(
    rule: Rule,
    *,
    lr: float,
    states: int = 1201,
    bound: float = 0.6,
    lr_scaling: LRScaling = "equal",
    bias: Literal["cells", "digital"] = "cells",
) -> Crossbar:
    """Cells of evenly spaced states between two bounds, written by stochastic rounding.

        q = 2 bound / (states - 1),   w <- clip(w + q floor(-lr ∇ / q + r), ±bound),   r ~ U[0, 1)

    An update smaller than q moves the weight by q now and then, so that the mean change is right.

    Limit: gradient descent with clipped weights as the number of states grows.

    Args:
        rule: whose updates they take; errors may be spikes or real numbers.
        lr: learning rate.
        states: of a cell, 2 at least; an odd number has one at 0. The default is q = 0.001.
        bound: largest weight, above 0.
        lr_scaling: how the learning rate is shared among layers; see `onchip.learning.lr_scaling`.
        bias: whether biases lie in `cells` whose input is always on, or in `digital` memory, which is exact.

    Raises:
        RequestError: a number out of range.
        UnsupportedError: a rule that needs its updates for itself.

    Reference: Gupta et al. 2015 (Deep learning with limited numerical precision, ICML), for the rounding.
    """
    return Crossbar(rule, Quantised(states, bound), lr=lr, lr_scaling=lr_scaling, bias=bias)


@dataclass(frozen=True)
class Quantised(MemoryCell):
    """A cell of evenly spaced states.

    Args:
        states: how many, 2 at least.
        bound: largest weight, above 0.

    Raises:
        RequestError: a number out of range.
    """

    states: int = 1201
    bound: float = 0.6

    def __post_init__(self) -> None:
        if self.states < 2:
            raise RequestError(f"quantised got states={self.states}; expected 2 at least")
        if not 0.0 < self.bound < math.inf:
            raise RequestError(f"quantised got bound={self.bound}; expected the largest weight, a number above 0")

    @property
    def quantum(self) -> float:
        """Distance of two states."""
        return 2.0 * self.bound / (self.states - 1)

    def make(self, weight: Tensor) -> dict[str, Tensor]:
        return {}

    def settle(self, weight: Tensor, cells: dict[str, Tensor]) -> int:
        outside = int((weight.abs() > self.bound).sum())
        self._hold(weight, self._state(weight))
        return outside

    def meet(self, synapse: Synapse, pre: Tensor, delta: Tensor, unit: float | None) -> Tensor:
        return synapse.weight_grad(pre, delta)

    def meet_always(self, synapse: Synapse, delta: Tensor, unit: float | None) -> Tensor:
        return synapse.bias_update(delta)

    def write(self, weight: Tensor, cells: dict[str, Tensor], met: Tensor, lr: float, unit: float | None) -> Tensor:
        before = self._state(weight)
        steps = (met * (-lr / self.quantum)).add_(torch.rand_like(met)).floor_()
        after = before + steps
        self._hold(weight, after)
        return self._state(weight) != before

    def _state(self, weight: Tensor) -> Tensor:
        """The state nearest to each weight, 0 for the lower bound."""
        return ((weight + self.bound) / self.quantum).round_()

    def _hold(self, weight: Tensor, state: Tensor) -> None:
        weight.copy_(state.clamp(0, self.states - 1) * self.quantum - self.bound)
