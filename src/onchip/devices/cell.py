"""What holds one weight, and how it takes an update."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from onchip.nn.synapses import Synapse

__all__ = ["MemoryCell"]


class MemoryCell(ABC):
    """One kind of memory cell; all methods treat a whole array of them at once.

    What makes one cell differ from the next is drawn once, by `make`, and handed back to the other methods.
    """

    counts: ClassVar[bool] = False
    """Whether it is written by pulses, one for each spike of an error, and so takes no real numbers."""

    @abstractmethod
    def make(self, weight: Tensor) -> dict[str, Tensor]:
        """Draws the properties of the cells that are to hold a weight of this shape."""

    @abstractmethod
    def settle(self, weight: Tensor, cells: dict[str, Tensor]) -> int:
        """Replaces the first weights, in place, by what the cells can hold.

        Returns:
            How many lay out of the cells' bounds.
        """

    @abstractmethod
    def meet(self, synapse: Synapse, pre: Tensor, delta: Tensor, unit: float | None) -> Tensor:
        """What the cells of a weight are to take of one update, to be added up until they are written.

        Args:
            synapse: the bilinear map of the layer.
            pre: presynaptic factor (N, in...).
            delta: error at the drive (N, out...).
            unit: what one spike of the error is worth; None if it has no spikes.
        """

    @abstractmethod
    def meet_always(self, synapse: Synapse, delta: Tensor, unit: float | None) -> Tensor:
        """The same for the cells of a bias, whose input is always on."""

    @abstractmethod
    def write(self, weight: Tensor, cells: dict[str, Tensor], met: Tensor, lr: float, unit: float | None) -> Tensor:
        """Changes the weights, in place, by the learning rate times what was met.

        Args:
            weight: what the cells hold.
            cells: their properties.
            met: the sum of what `meet` returned.
            lr: learning rate, at least 0.
            unit: what one spike of the error is worth; None if it has no spikes.

        Returns:
            How often each cell was written, of the weight's shape.
        """
