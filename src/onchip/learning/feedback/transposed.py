"""Errors through the forward weights themselves."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from onchip.learning.interfaces import Layered, Observer
from onchip.nn.graph_builder import Stage
from onchip.transport import Transported

__all__ = ["Transposed"]


class Transposed(Layered):
    """Errors come down through the forward weights themselves.

    On a chip this is weight transport: the backward path must get a copy of W whenever W has changed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stages: tuple[Stage, ...] = ()
        self._current: set[int] = set()

    def attach(self, stages: Sequence[Stage]) -> None:
        self._stages = tuple(stages)

    def tell_initial(self, observer: Observer) -> None:
        """Nothing was copied before training: the first copy is made for the first step."""

    def weight(self, index: int) -> Tensor:
        stage = self._stages[index]
        if index not in self._current:
            self._current.add(index)
            self.tell_transport(stage, Transported.whole(stage.weight))
        return stage.weight

    def step(self) -> None:
        self._current.clear()

    def learn(self) -> None:
        """There are no feedback weights that could learn."""
