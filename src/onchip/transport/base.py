"""What schemes of weight transport have in common: which weights they get, and what they must book."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from onchip.errors import RequestError

__all__ = ["Share", "Transport", "Transported", "copy_chosen", "index_bits", "planned_bits", "value_bits"]


@dataclass(frozen=True)
class Transported:
    """What one transport of a layer's weights into its feedback moved.

    Args:
        scalars: numbers sent, of whatever precision.
        value_bits: bits of these numbers.
        index_bits: bits that say which weights they are, where both ends do not know it already.
        compares: weights that were compared with their copy.
        products: scalar multiplications made to form what is sent.
        sorts: weights put in order of size, at least in part, to choose.
        draws: random numbers drawn to choose.
        coded: of the scalars, those that are not sent at the weights' own precision.
        writes: feedback weights that are written; 0 where it is one for each scalar.
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

    @abstractmethod
    def message_bits(self, weight: Tensor) -> int | None:
        """Bits that one event sends of a layer with these weights; None if that is not known before."""


@dataclass(frozen=True)
class Share(Transport):
    """Copies a fixed share of the weights; subclasses choose which.

    Args:
        fraction: share of the weights to copy at each event, in (0, 1]; at least one is copied.
        per_layer: whether each layer gets this share of its own weights, or all layers share one budget.

    Raises:
        RequestError: a fraction out of range.
    """

    fraction: float = 0.1
    per_layer: bool = True

    def __post_init__(self) -> None:
        if not 0.0 < self.fraction <= 1.0:
            raise RequestError(
                f"{type(self).__name__} got fraction={self.fraction}; expected a share of the weights in (0, 1]. "
                "To copy none, use the rule `never`"
            )

    @abstractmethod
    def choose(self, feedback: Sequence[Tensor], weights: Sequence[Tensor], count: int, event: int) -> Tensor:
        """Positions (count,) of the weights to copy, in the layers' weights written one after another."""

    @abstractmethod
    def announces(self) -> bool:
        """Whether the receiver must be told which weights arrive."""

    @abstractmethod
    def compares(self) -> bool:
        """Whether every weight is compared with its copy to choose."""

    def message_bits(self, weight: Tensor) -> int | None:
        if not self.per_layer:
            return None
        count, named = self._size(weight.numel())
        return value_bits(weight, count) + named

    def sorts(self) -> bool:
        """Whether weights are put in order of size to choose."""
        return False

    def draws(self) -> bool:
        """Whether random numbers choose."""
        return False

    def __call__(self, feedback: Sequence[Tensor], weights: Sequence[Tensor], event: int) -> list[Transported]:
        if not self.per_layer:
            return self._share(feedback, weights, event)
        return [
            moved
            for copy, weight in zip(feedback, weights, strict=True)
            for moved in self._share([copy], [weight], event)
        ]

    def _share(self, feedback: Sequence[Tensor], weights: Sequence[Tensor], event: int) -> list[Transported]:
        """Spends one budget on these layers."""
        total = sum(weight.numel() for weight in weights)
        count, named = self._size(total)
        chosen = self.choose(feedback, weights, count, event)
        bitmap = named == total
        moved = []
        begin = 0
        for copy, weight in zip(feedback, weights, strict=True):
            size = weight.numel()
            here = chosen if size == total else chosen[(chosen >= begin) & (chosen < begin + size)] - begin
            copy_chosen(copy, weight, here)
            share = here.numel()
            moved.append(
                Transported(
                    share,
                    value_bits(weight, share),
                    index_bits=size if bitmap else share * named // count,
                    compares=size if self.compares() else 0,
                    sorts=size if self.sorts() else 0,
                    draws=share if self.draws() else 0,
                )
            )
            begin += size
        return moved

    def _size(self, total: int) -> tuple[int, int]:
        """Weights to copy of so many, and the bits that name them."""
        count = max(1, round(self.fraction * total))
        # Both ends know the count; a share that is the whole needs no index.
        return count, index_bits(count, total) if self.announces() and count < total else 0


def planned_bits(transport: Transport, weights: Sequence[Tensor]) -> list[int]:
    """Bits that one event sends of each layer.

    Raises:
        RequestError: a scheme for which that is not known before.

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
                f"{transport} sends messages whose size is not known before, so no periods can be planned for it; "
                "give it one period, or use Full, Sign, LowRank, or Top, Random or Cyclic with per_layer=true"
            )
        planned.append(bits)
    return planned


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
