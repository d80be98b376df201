"""Interface of memory cells: what a cell stores, and how it is written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from torch import Tensor

from onchip.learning.ranks import Ranks
from onchip.nn.synapses import Synapse


class MemoryCell(ABC):
    """One kind of memory cell; each method treats an array of cells at once.

    The properties that vary from cell to cell are drawn once, by `draw`, and passed to the other methods as `cells`.
    """

    counts: ClassVar[bool] = False
    """Whether cells are written by pulses that error spikes cause, and so accept no errors that are real numbers."""

    stores_feedback: ClassVar[bool] = False
    """Whether such cells store learned feedback weights, too; otherwise those are digital."""

    per_step: ClassVar[bool] = False
    """Whether a cell takes the factors of each time step, even if the input is a static image."""

    profile: Mapping[str, str] = MappingProxyType({})
    """What a record says of the cells, and a checkpoint must agree with, where a file decides on them."""

    def divide(self, ranks: Ranks) -> MemoryCell:
        """The same cells for processes that share each batch; only those that look at all samples differ."""
        return self

    def draw(self, weight: Tensor) -> dict[str, Tensor]:
        """Draws the properties of the cells that store a weight of this shape; by default cells are all equal."""
        return {}

    @abstractmethod
    def program(self, weight: Tensor, cells: dict[str, Tensor]) -> int:
        """Replaces the initial weights, in place, by values that the cells can store.

        Returns:
            The number of initial weights outside the bounds of the cells.
        """

    def weight_update(
        self, synapse: Synapse, cells: dict[str, Tensor], pre: Tensor, delta: Tensor, unit: float | None
    ) -> Tensor:
        """One update of the cells of a weight, which is accumulated until `write`; the gradient by default.

        Args:
            synapse: Bilinear map of the layer.
            cells: Properties of the cells.
            pre: Presynaptic factor (N, in...).
            delta: Error at the drive (N, out...).
            unit: Value of one spike of the error; None if the error has no spikes.
        """
        return synapse.weight_grad(pre, delta)

    def bias_update(self, synapse: Synapse, cells: dict[str, Tensor], delta: Tensor, unit: float | None) -> Tensor:
        """One update of the cells of a bias, whose input is always on; the gradient by default."""
        return synapse.bias_update(delta)

    @abstractmethod
    def write(self, weight: Tensor, cells: dict[str, Tensor], update: Tensor, lr: float, unit: float | None) -> Tensor:
        """Changes the weights, in place, by the learning rate times the accumulated update.

        Args:
            weight: Weights that the cells store.
            cells: Properties of the cells.
            update: Sum of the results of `weight_update` or `bias_update`.
            lr: Learning rate, at least 0.
            unit: Value of one spike of the error; None if the error has no spikes.

        Returns:
            Number of writes per cell, of the weight's shape.
        """
