"""Cells with a finite number of states: digital memory of few bits."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from onchip._types import checked
from onchip.devices.cell import MemoryCell
from onchip.devices.crossbar import Crossbar
from onchip.errors import require
from onchip.learning.lr_scaling import LRScaling
from onchip.learning.rule import Rule


@checked
def quantized(
    rule: Rule,
    *,
    lr: float,
    states: int = 1201,
    bound: float = 0.6,
    lr_scaling: LRScaling = "equal",
    bias: Literal["cells", "digital"] = "cells",
) -> Crossbar:
    """Cells with evenly spaced states between two bounds, written by stochastic rounding.

        q = 2 bound / (states - 1),   w <- clip(w + q floor(-lr ∇ / q + r), ±bound),   r ~ U[0, 1)

    An update smaller than q changes the weight by q with a probability that makes the mean change exact.

    Limit: gradient descent with clipped weights as the number of states grows.

    Args:
        rule: Rule whose updates are written; its errors may be spikes or real numbers.
        lr: Learning rate, at least 0.
        states: Number of states per cell, at least 2; an odd number includes 0. The default gives q = 0.001.
        bound: Largest weight, above 0.
        lr_scaling: How the learning rate is shared among layers; see `onchip.learning.lr_scaling`.
        bias: Whether biases are in `cells` whose input is always on, or in exact `digital` memory.

    Raises:
        RequestError: an option is out of range.
        UnsupportedError: the rule uses its updates itself.

    Reference: Gupta et al. 2015 (Deep learning with limited numerical precision, ICML), for the rounding.
    """
    return Crossbar(rule, QuantizedCell(states, bound), lr=lr, lr_scaling=lr_scaling, bias=bias)


@dataclass(frozen=True)
class QuantizedCell(MemoryCell):
    """A cell with evenly spaced states; `quantized` explains its options."""

    states: int = 1201
    bound: float = 0.6

    def __post_init__(self) -> None:
        require(self.states >= 2, "quantized", "states", self.states, "at least 2")
        require(0.0 < self.bound < math.inf, "quantized", "bound", self.bound, "the largest weight, a number above 0")

    @property
    def quantum(self) -> float:
        """Distance between adjacent states."""
        return 2.0 * self.bound / (self.states - 1)

    def program(self, weight: Tensor, cells: dict[str, Tensor]) -> int:
        outside = int((weight.abs() > self.bound).sum())
        self._set_state(weight, self._state(weight))
        return outside

    def write(self, weight: Tensor, cells: dict[str, Tensor], update: Tensor, lr: float, unit: float | None) -> Tensor:
        before = self._state(weight)
        steps = (update * (-lr / self.quantum)).add_(torch.rand_like(update)).floor_()
        after = before + steps
        self._set_state(weight, after)
        return self._state(weight) != before

    def _state(self, weight: Tensor) -> Tensor:
        """Index of the state nearest to each weight; 0 is the lower bound."""
        return ((weight + self.bound) / self.quantum).round_()

    def _set_state(self, weight: Tensor, state: Tensor) -> None:
        weight.copy_(state.clamp(0, self.states - 1) * self.quantum - self.bound)
