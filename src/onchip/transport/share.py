"""Base of the schemes that copy a fixed share of the weights."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from onchip.errors import RequestError
from onchip.transport.base import Transport, Transported, copy_chosen, index_bits, value_bits

__all__ = ["Share"]


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
        count = max(1, round(self.fraction * total))
        chosen = self.choose(feedback, weights, count, event)
        # Both ends know the count; a share that is the whole needs no index.
        named = index_bits(count, total) if self.announces() and count < total else 0
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
                )
            )
            begin += size
        return moved
