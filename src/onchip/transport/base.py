"""What every scheme of weight transport has in common: which weights it gets, and what it must book."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

__all__ = ["Transport", "Transported", "copy_chosen", "index_bits", "value_bits"]


@dataclass(frozen=True)
class Transported:
    """What one transport of a layer's weights into its feedback moved.

    Args:
        scalars: numbers sent, of whatever precision.
        value_bits: bits of these numbers.
        index_bits: bits that say which weights they are, where both ends do not know it already.
        compares: weights that were compared with their copy.
        products: scalar multiplications made to form what is sent.
    """

    scalars: int
    value_bits: int
    index_bits: int = 0
    compares: int = 0
    products: int = 0

    @classmethod
    def whole(cls, weight: Tensor) -> Transported:
        """A full copy, at the weights' own precision."""
        return cls(weight.numel(), value_bits(weight, weight.numel()))


class Transport(ABC):
    """Brings feedback weights B nearer to the forward weights W, in place. It keeps no state of its own."""

    @abstractmethod
    def __call__(self, feedback: Sequence[Tensor], weights: Sequence[Tensor], event: int) -> list[Transported]:
        """One transport event.

        Args:
            feedback: B of each layer.
            weights: W of each layer, of the same shapes.
            event: number of transport events before this one.

        Returns:
            What was moved, for each layer.
        """


def value_bits(weight: Tensor, count: int) -> int:
    """Bits of `count` values at the weights' own precision."""
    return count * weight.element_size() * 8


def index_bits(count: int, among: int) -> int:
    """Bits that name `count` of `among` weights, as a plain sender would: a list of indices or a bitmap.

    It is the shorter of the two, count · ceil(log2 among) or among. An entropy coder would need less.

    Example:
        >>> index_bits(10, 1000), index_bits(400, 1000)
        (100, 1000)
    """
    return min(count * math.ceil(math.log2(among)), among) if among > 1 else 0


def copy_chosen(feedback: Tensor, weight: Tensor, chosen: Tensor) -> None:
    """Copies the weights at flat positions `chosen` (count,) into `feedback`."""
    # reshape(-1) of a feedback in channels_last would be a copy; put_ writes through any layout.
    feedback.put_(chosen, weight.take(chosen))
