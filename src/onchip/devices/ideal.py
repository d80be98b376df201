"""Cells without a fault: what plain gradient descent assumes."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from onchip.devices.cell import MemoryCell
from onchip.devices.crossbar import Crossbar
from onchip.learning.lr_scaling import LRScaling
from onchip.learning.rule import Rule
from onchip.nn.synapses import Synapse

__all__ = ["Ideal", "ideal"]


def ideal(
    rule: Rule, *, lr: float, lr_scaling: LRScaling = "equal", bias: Literal["cells", "digital"] = "cells"
) -> Crossbar:
    """Cells that take any update exactly: w <- w - lr ∇, without bounds.

    Limit: `torch.optim.SGD` without momentum, to rounding.

    Args:
        rule: whose updates they take.
        lr: learning rate.
        lr_scaling: how it is shared among layers; see `onchip.learning.lr_scaling`.
        bias: whether biases lie in `cells` whose input is always on, or in `digital` memory. Here it is the same.

    Raises:
        UnsupportedError: a rule that needs its updates for itself.

    Reference: Gokmen and Vlasov 2016 (Front. Neurosci. 10:333), whose baseline it is.
    """
    return Crossbar(rule, Ideal(), lr=lr, lr_scaling=lr_scaling, bias=bias)


class Ideal(MemoryCell):
    """A cell that holds any number and takes any change."""

    def make(self, weight: Tensor) -> dict[str, Tensor]:
        return {}

    def settle(self, weight: Tensor, cells: dict[str, Tensor]) -> int:
        return 0

    def meet(self, synapse: Synapse, pre: Tensor, delta: Tensor, unit: float | None) -> Tensor:
        return synapse.weight_grad(pre, delta)

    def meet_always(self, synapse: Synapse, delta: Tensor, unit: float | None) -> Tensor:
        return synapse.bias_update(delta)

    def write(self, weight: Tensor, cells: dict[str, Tensor], met: Tensor, lr: float, unit: float | None) -> Tensor:
        weight.sub_(met, alpha=lr)
        return met != 0
