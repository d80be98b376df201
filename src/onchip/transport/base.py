"""Interface of weight transport schemes, and how many bits their messages have."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from onchip.errors import RequestError


@dataclass(frozen=True)
class Transported:
    """What one transport of a layer's weights to its feedback weights moved.

    Args:
        scalars: Numbers sent, of any precision.
        value_bits: Bits of these numbers.
        index_bits: Bits that say which weights these are, where the receiver cannot know.
        compares: Weights that were compared with their copy.
        products: Scalar multiplications made to form the message.
        sorts: Weights that were sorted by size, at least in part.
        draws: Random numbers drawn to choose weights.
        coded: Numbers, of the scalars, that are sent at another precision than the weights' own.
        writes: Feedback weights that are written; 0 if it is one per scalar.
    """

    scalars: int
    value_bits: int
    index_bits: int = 0
    compares: int = 0
    products: int = 0
    sorts: int = 0
    draws: int = 0
    coded: int = 0
    writes: int = 0

    @classmethod
    def whole(cls, weight: Tensor) -> Transported:
        """A full copy, at the weights' own precision."""
        return cls(weight.numel(), value_bits(weight, weight.numel()))


class Transport(ABC):
    """Brings feedback weights B closer to the forward weights W, in place. It has no state."""

    @abstractmethod
    def __call__(self, feedback: Sequence[Tensor], weights: Sequence[Tensor], event: int) -> list[Transported]:
        """One transport event.

        Args:
            feedback: Feedback weights B of each layer.
            weights: Forward weights W of each layer, of the same shapes.
            event: Number of earlier transport events.

        Returns:
            What was moved, per layer.
        """

    @abstractmethod
    def message_bits(self, weight: Tensor) -> int | None:
        """Bits sent per event for a layer with these weights; None if the number is not known in advance."""


def planned_bits(transport: Transport, weights: Sequence[Tensor]) -> list[int]:
    """Bits sent per event, for each layer.

    Raises:
        RequestError: the scheme does not know this number in advance.

    Example:
        >>> from torch import empty
        >>> from onchip.transport import Sign
        >>> planned_bits(Sign(), [empty(10, 128)])
        [1312]
    """
    planned = []
    for weight in weights:
        bits = transport.message_bits(weight)
        if bits is None:
            raise RequestError(
                f"{transport} sends messages whose size is not known in advance, so no periods can be planned for it; "
                "give it one period, or use Full, Sign, LowRank, or Top, Random or Cyclic with per_layer=true"
            )
        planned.append(bits)
    return planned


def value_bits(weight: Tensor, count: int) -> int:
    """Bits of `count` values at the weights' own precision."""
    return count * weight.element_size() * 8


def index_bits(count: int, among: int) -> int:
    """Bits that identify `count` of `among` weights, by a list of indices or a bitmap, whichever is shorter.

    This is the smaller of count · ceil(log2 among) and among. Entropy coding would need fewer bits.

    Example:
        >>> index_bits(10, 1000), index_bits(400, 1000)
        (100, 1000)
    """
    return min(count * math.ceil(math.log2(among)), among) if among > 1 else 0


def copy_chosen(feedback: Tensor, weight: Tensor, chosen: Tensor) -> None:
    """Copies the weights at flat positions `chosen` (count,) into `feedback`."""
    # reshape(-1) of a feedback in channels_last would be a copy; put_ writes through any layout.
    feedback.put_(chosen, weight.take(chosen))
