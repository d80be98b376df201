"""An optimizer that writes memory cells: what applies a rule's updates on a chip."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from onchip.devices.cell import MemoryCell
from onchip.errors import RequestError, unknown_name
from onchip.learning.lr_scaling import LRScaling, groups
from onchip.learning.observers import UpdateSink
from onchip.learning.rule import Rule
from onchip.nn.graph import SynapticLayer

__all__ = ["Crossbar"]

TOLERATED = 0.05
"""Share of first weights that the cells' bounds may cut off before a warning is given."""


@dataclass
class _Array:
    """The cells of one parameter, and what waits to be written, by the worth of an error's spike."""

    weight: Tensor
    cells: dict[str, Tensor]
    writes: Tensor
    waiting: dict[float | None, Tensor] = field(default_factory=dict)

    def wait(self, met: Tensor, unit: float | None) -> None:
        """Adds up what is to be written."""
        self.waiting[unit] = self.waiting[unit] + met if unit in self.waiting else met

    def write(self, cell: MemoryCell, lr: float) -> None:
        """Writes what waits, which stays."""
        for unit, met in self.waiting.items():
            self.writes += cell.write(self.weight, self.cells, met, lr, unit)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {**self.cells, "writes": self.writes}


class Crossbar(torch.optim.Optimizer, UpdateSink):
    """Applies a rule's updates as memory cells take them: use it where an optimizer stands.

    It takes the pair (presynaptic factor, error) from the rule in place of `.grad`, until `step` writes what has
    come; `zero_grad` forgets it. Learning rates are set, and states kept, as in any torch optimizer. What is no
    weight or bias of a layer, such as a learnt decay or learnt feedback, is digital: plain gradient descent.

    Args:
        rule: whose updates it takes, from now on.
        cell: what holds a weight.
        lr: learning rate.
        lr_scaling: how it is shared among layers; see `onchip.learning.lr_scaling`.
        bias: whether biases lie in `cells` whose input is always on, or in `digital` memory.

    Raises:
        RequestError: a number out of range, an unknown choice, or a rule that has a receiver already.
        UnsupportedError: a rule that needs its updates for itself, or one whose errors are real numbers where the
            cells count spikes.
    """

    def __init__(
        self,
        rule: Rule,
        cell: MemoryCell,
        *,
        lr: float,
        lr_scaling: LRScaling = "equal",
        bias: Literal["cells", "digital"] = "cells",
    ) -> None:
        if not 0.0 <= lr < math.inf:
            raise RequestError(f"a device got lr={lr}; expected a learning rate of at least 0")
        if bias not in ("cells", "digital"):
            raise unknown_name("bias", bias, ("cells", "digital"))
        super().__init__(groups(rule.parameters(), lr_scaling), {"lr": lr})
        self._cell = cell
        self._digital_bias = bias == "digital"
        rule.deliver(self)
        self._arrays: dict[Tensor, _Array] = {}
        outside = 0
        with torch.no_grad():
            for stage in rule.layers:
                for weight in (stage.parameter, None if self._digital_bias else stage.bias):
                    if weight is not None and weight not in self._arrays:
                        cells = cell.make(weight)
                        outside += cell.settle(weight, cells)
                        writes = torch.zeros_like(weight, dtype=torch.int64)
                        self._arrays[weight] = _Array(weight, cells, writes)
        share = outside / sum(weight.numel() for weight in self._arrays)
        if share > TOLERATED:
            warnings.warn(
                f"{share:.0%} of the first weights lie beyond what the cells can hold, and are cut off; use larger "
                "bounds or smaller first weights",
                stacklevel=3,
            )
        self.register_state_dict_post_hook(_with_cells)
        self.register_load_state_dict_pre_hook(_take_cells)

    @property
    def counts(self) -> bool:
        return self._cell.counts

    def take(self, stage: SynapticLayer, pre: Tensor, delta: Tensor, unit: float | None) -> None:
        synapse = stage.synapse
        self._arrays[stage.parameter].wait(self._cell.meet(synapse, pre, delta, unit), unit)
        if stage.bias is None:
            return
        if self._digital_bias:
            met = synapse.bias_update(delta)
            stage.bias.grad = met if stage.bias.grad is None else stage.bias.grad + met
        else:
            self._arrays[stage.bias].wait(self._cell.meet_always(synapse, delta, unit), unit)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Writes what has come since `zero_grad`.

        Raises:
            RequestError: a closure, which would ask for several updates.
        """
        if closure is not None:
            raise RequestError("a device got a closure; expected one update a step. Call step() without it")
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter in self._arrays:
                    self._arrays[parameter].write(self._cell, float(group["lr"]))
                elif parameter.grad is not None:
                    parameter.sub_(parameter.grad, alpha=float(group["lr"]))

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets what has come."""
        for array in self._arrays.values():
            array.waiting.clear()
        super().zero_grad(set_to_none)

    def summary(self) -> dict[str, int | float]:
        """Writes so far: of all cells, of a cell in the mean, and of the cell written most."""
        writes = [array.writes for array in self._arrays.values()]
        cells, total = sum(counted.numel() for counted in writes), sum(int(counted.sum()) for counted in writes)
        return {
            "cells": cells,
            "cell_writes": total,
            "cell_writes_mean": total / cells,
            "cell_writes_max": max(int(counted.max()) for counted in writes),
        }


def _with_cells(crossbar: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """The state with the cells' properties and writes; torch would make numbers of the weight's type of them."""
    assert isinstance(crossbar, Crossbar), "hooks are called with what they are registered on"
    return {**state, "cells": [array.state() for array in crossbar._arrays.values()]}


def _take_cells(crossbar: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Restores what `_with_cells` added."""
    assert isinstance(crossbar, Crossbar), "hooks are called with what they are registered on"
    own, kept = [array.state() for array in crossbar._arrays.values()], state.get("cells")
    if not isinstance(kept, list) or [_shapes(cells) for cells in kept] != [_shapes(cells) for cells in own]:
        raise RequestError("this state is another device's or network's; expected what state_dict() of this one gives")
    for tensors, restored in zip(own, kept, strict=True):
        for name, tensor in tensors.items():
            tensor.copy_(restored[name])


def _shapes(cells: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in cells.items()}
