"""An optimizer that writes a rule's updates to memory cells."""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from onchip.devices.cell import MemoryCell
from onchip.errors import RequestError, require, unknown_name
from onchip.learning.lr_scaling import LRScaling, groups
from onchip.learning.observers import UpdateSink
from onchip.learning.ranks import Ranks
from onchip.learning.rule import Rule
from onchip.nn.graph import SynapticLayer
from onchip.nn.synapses import Synapse

TOLERATED = 0.05
"""Share of initial weights that may be clipped to the bounds of the cells without a warning."""


@dataclass
class _Array:
    """The cells of one parameter, and the updates to be written, keyed by the value of an error spike."""

    weight: Tensor
    cells: dict[str, Tensor]
    writes: Tensor
    pending: dict[float | None, Tensor] = field(default_factory=dict)

    def accumulate(self, update: Tensor, unit: float | None) -> None:
        """Adds an update to those that `write` applies."""
        self.pending[unit] = self.pending[unit] + update if unit in self.pending else update

    def write(self, cell: MemoryCell, lr: float) -> None:
        """Applies the pending updates, which stay pending."""
        for unit, update in self.pending.items():
            self.writes += cell.write(self.weight, self.cells, update, lr, unit)

    def state(self) -> dict[str, Tensor]:
        """The state in a checkpoint."""
        return {**self.cells, "writes": self.writes}


class Crossbar(torch.optim.Optimizer, UpdateSink):
    """An optimizer that writes the updates of a rule to memory cells.

    It takes the pair (presynaptic factor, error) from the rule instead of `.grad`; `step` writes the accumulated
    updates and `zero_grad` clears them. Learning rates and states are those of any torch optimizer. Parameters other
    than weights and biases, such as a learned decay, are digital: plain gradient descent. So is learned feedback,
    unless the cells store it.

    Args:
        rule: Rule whose updates are written.
        cell: Memory cell that stores a weight.
        lr: Learning rate, at least 0.
        lr_scaling: How the learning rate is shared among layers; see `onchip.learning.lr_scaling`.
        bias: Whether biases are in `cells` whose input is always on, or in exact `digital` memory.

    Raises:
        RequestError: an option is out of range or unknown, or the rule has an update sink already.
        UnsupportedError: the rule uses its updates itself, or its errors are real numbers and the cells count spikes.
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
        require(0.0 <= lr < math.inf, "a device", "lr", lr, "a learning rate of at least 0")
        if bias not in ("cells", "digital"):
            raise unknown_name("bias", bias, ("cells", "digital"))
        super().__init__(groups(rule.parameters(), lr_scaling), {"lr": lr})
        self._cell = cell
        self._digital_bias = bias == "digital"
        rule.deliver(self)
        self._feedback = tuple(rule.feedback.parameters()) if cell.stores_feedback else ()
        self._arrays: dict[Tensor, _Array] = {}
        outside = 0
        with torch.no_grad():
            for layer in rule.layers:
                for weight in (layer.parameter, None if self._digital_bias else layer.bias):
                    if weight is not None and weight not in self._arrays:
                        outside += self._store(weight)
            self._store_feedback()
        share = outside / sum(weight.numel() for weight in self._arrays)
        if share > TOLERATED:
            warnings.warn(
                f"{share:.0%} of the initial weights are outside the bounds of the cells and were clipped; use larger "
                "bounds or smaller initial weights",
                stacklevel=3,
            )
        self.register_state_dict_post_hook(_with_cells)
        self.register_load_state_dict_pre_hook(_take_cells)

    @property
    def counts(self) -> bool:
        return self._cell.counts

    @property
    def takes_feedback(self) -> bool:  # type: ignore[override]  # a sink decides once, a crossbar by its cells
        return self._cell.stores_feedback

    @property
    def per_step(self) -> bool:  # type: ignore[override]
        return self._cell.per_step

    @property
    def profile(self) -> Mapping[str, str]:
        """What a record says of the cells, where a file decides on them."""
        return self._cell.profile

    def divide(self, ranks: Ranks) -> None:
        self._cell = self._cell.divide(ranks)

    def pending(self) -> list[Tensor]:
        return [update for array in self._arrays.values() for update in array.pending.values()]

    def _store(self, weight: Tensor, *, programmed: bool = False) -> int:
        """Stores a weight in cells; returns how many of its values are outside their bounds."""
        cells = self._cell.draw(weight)
        outside = 0 if programmed else self._cell.program(weight, cells)
        self._arrays[weight] = _Array(weight, cells, torch.zeros_like(weight, dtype=torch.int64))
        return outside

    def _store_feedback(self, *, programmed: bool = False) -> None:
        """Stores feedback weights, some of which have their shape only after the first backward pass."""
        for weight in self._feedback:
            if weight.numel() and weight not in self._arrays:
                self._store(weight, programmed=programmed)

    def take(
        self, layer: SynapticLayer, pre: Tensor, delta: Tensor, unit: float | None, bias_delta: Tensor | None = None
    ) -> None:
        synapse = layer.synapse
        array = self._arrays[layer.parameter]
        array.accumulate(self._cell.weight_update(synapse, array.cells, pre, delta, unit), unit)
        if layer.bias is None:
            return
        bias_delta = delta if bias_delta is None else bias_delta
        if self._digital_bias:
            update = synapse.bias_update(bias_delta)
            layer.bias.grad = update if layer.bias.grad is None else layer.bias.grad + update
        else:
            array = self._arrays[layer.bias]
            array.accumulate(self._cell.bias_update(synapse, array.cells, bias_delta, unit), unit)

    def take_feedback(self, feedback: Tensor, synapse: Synapse, pre: Tensor, delta: Tensor, unit: float | None) -> None:
        array = self._arrays[feedback]
        array.accumulate(self._cell.weight_update(synapse, array.cells, pre, delta, unit), unit)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Writes the updates since `zero_grad`.

        Raises:
            RequestError: a closure was given, which could make several updates.
        """
        if closure is not None:
            raise RequestError("a device got a closure; expected one update per step. Call step() without it")
        self._store_feedback()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter in self._arrays:
                    if parameter.grad is not None:  # of learned feedback
                        self._arrays[parameter].accumulate(parameter.grad, None)
                    self._arrays[parameter].write(self._cell, float(group["lr"]))
                elif parameter.grad is not None:
                    parameter.sub_(parameter.grad, alpha=float(group["lr"]))

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clears the pending updates."""
        for array in self._arrays.values():
            array.pending.clear()
        super().zero_grad(set_to_none)

    def summary(self) -> dict[str, int | float]:
        """Number of cells, and of writes so far: in total, mean per cell, and at the cell written most often."""
        writes = [array.writes for array in self._arrays.values()]
        cells, total = sum(counted.numel() for counted in writes), sum(int(counted.sum()) for counted in writes)
        return {
            "cells": cells,
            "cell_writes": total,
            "cell_writes_mean": total / cells,
            "cell_writes_max": max(int(counted.max()) for counted in writes),
        }


def _with_cells(crossbar: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """The state with the cells' properties and writes; torch would convert them to the weight's type."""
    assert isinstance(crossbar, Crossbar), "hooks are called with what they are registered on"
    profile = {"profile": dict(crossbar.profile)} if crossbar.profile else {}
    return {**state, "cells": [array.state() for array in crossbar._arrays.values()], **profile}


def _take_cells(crossbar: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Restores what `_with_cells` added."""
    assert isinstance(crossbar, Crossbar), "hooks are called with what they are registered on"
    crossbar._store_feedback(programmed=True)
    if "cells" in state and (before := state.get("profile", {})) != crossbar.profile:
        raise RequestError(
            f"this state is of cells of the profile {before}; expected {dict(crossbar.profile)}. Restore the file that "
            "they are made from, or begin again"
        )
    own, loaded = [array.state() for array in crossbar._arrays.values()], state.get("cells")
    if not isinstance(loaded, list) or [_shapes(cells) for cells in loaded] != [_shapes(cells) for cells in own]:
        raise RequestError(
            "this state is another device's or network's; expected one from state_dict() of the same device"
        )
    for tensors, restored in zip(own, loaded, strict=True):
        for name, tensor in tensors.items():
            tensor.copy_(restored[name])


def _shapes(cells: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in cells.items()}
