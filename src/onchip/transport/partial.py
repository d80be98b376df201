"""Transport of a fixed share of the weights."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from onchip.errors import require
from onchip.transport.base import Transport, Transported, copy_chosen, index_bits, value_bits


@dataclass(frozen=True)
class PartialTransport(Transport):
    """Copies a fixed share of the weights; subclasses choose which.

    Args:
        fraction: Share of the weights to copy per event, in (0, 1]; at least one weight is copied.
        per_layer: Whether each layer gets this share of its own weights, or all layers share one budget.

    Raises:
        RequestError: the fraction is out of range.
    """

    sends_indices: ClassVar[bool] = True
    """Whether a message says which weights it contains."""

    compares: ClassVar[bool] = False
    """Whether every weight is compared with its copy."""

    sorts: ClassVar[bool] = False
    """Whether weights are sorted by size."""

    draws: ClassVar[bool] = False
    """Whether weights are chosen by random numbers."""

    fraction: float = 0.1
    per_layer: bool = True

    def __post_init__(self) -> None:
        expected = "a share of the weights in (0, 1]. To copy none, use the rule `never`"
        require(0.0 < self.fraction <= 1.0, self, "fraction", self.fraction, expected)

    @abstractmethod
    def choose(self, feedback: Sequence[Tensor], weights: Sequence[Tensor], count: int, event: int) -> Tensor:
        """Positions (count,) of the weights to copy, in the concatenation of the layers' flat weights."""

    def index_bits(self, count: int, total: int) -> int:
        """Bits that identify `count` of `total` weights."""
        # Both ends know the count; a full copy needs no index.
        return index_bits(count, total) if self.sends_indices and count < total else 0

    def message_bits(self, weight: Tensor) -> int | None:
        if not self.per_layer:
            return None
        count = self._count(weight.numel())
        return value_bits(weight, count) + self.index_bits(count, weight.numel())

    def __call__(self, feedback: Sequence[Tensor], weights: Sequence[Tensor], event: int) -> list[Transported]:
        if not self.per_layer:
            return self._copy(feedback, weights, event)
        layers = zip(feedback, weights, strict=True)
        return [moved for copy, weight in layers for moved in self._copy([copy], [weight], event)]

    def _copy(self, feedback: Sequence[Tensor], weights: Sequence[Tensor], event: int) -> list[Transported]:
        """Copies the share of all weights of these layers."""
        total = sum(weight.numel() for weight in weights)
        count = self._count(total)
        named = self.index_bits(count, total)
        chosen = self.choose(feedback, weights, count, event)
        moved = []
        begin = 0
        for copy, weight in zip(feedback, weights, strict=True):
            size = weight.numel()
            here = chosen if size == total else chosen[(chosen >= begin) & (chosen < begin + size)] - begin
            copy_chosen(copy, weight, here)
            copied = here.numel()
            moved.append(
                Transported(
                    copied,
                    value_bits(weight, copied),
                    index_bits=size if named == total else copied * named // count,  # a bitmap, or a list of indices
                    compares=size if self.compares else 0,
                    sorts=size if self.sorts else 0,
                    draws=copied if self.draws else 0,
                )
            )
            begin += size
        return moved

    def _count(self, total: int) -> int:
        return max(1, round(self.fraction * total))
