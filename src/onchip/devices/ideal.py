"""Ideal cells, as plain gradient descent assumes them."""

from typing import Literal

from torch import Tensor

from onchip._types import checked
from onchip.devices.cell import MemoryCell
from onchip.devices.crossbar import Crossbar
from onchip.learning.lr_scaling import LRScaling
from onchip.learning.rule import Rule


@checked
def ideal(
    rule: Rule, *, lr: float, lr_scaling: LRScaling = "equal", bias: Literal["cells", "digital"] = "cells"
) -> Crossbar:
    """Cells that are updated exactly, w <- w - lr ∇, without bounds.

    Limit: `torch.optim.SGD` without momentum, to rounding.

    Args:
        rule: Rule whose updates are written.
        lr: Learning rate, at least 0.
        lr_scaling: How the learning rate is shared among layers; see `onchip.learning.lr_scaling`.
        bias: Whether biases are in `cells` whose input is always on, or in exact `digital` memory.

    Raises:
        UnsupportedError: the rule uses its updates itself.

    Reference: Gokmen and Vlasov 2016 (Front. Neurosci. 10:333), the floating-point baseline.
    """
    return Crossbar(rule, IdealCell(), lr=lr, lr_scaling=lr_scaling, bias=bias)


class IdealCell(MemoryCell):
    """A cell that stores any number and changes by any amount."""

    def program(self, weight: Tensor, cells: dict[str, Tensor]) -> int:
        return 0

    def write(self, weight: Tensor, cells: dict[str, Tensor], update: Tensor, lr: float, unit: float | None) -> Tensor:
        weight.sub_(update, alpha=lr)
        return update != 0
