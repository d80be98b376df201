"""Errors through the forward weights themselves."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from onchip.learning.interfaces import LayerwiseFeedback
from onchip.nn.graph_builder import SynapticLayer
from onchip.transport import Transported

__all__ = ["TransposedFeedback"]


class TransposedFeedback(LayerwiseFeedback):
    """Errors come down through the forward weights themselves.

    On a chip this is weight transport: the backward path must get a copy of W whenever W has changed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stages: tuple[SynapticLayer, ...] = ()
        self._current: set[int] = set()

    def attach(self, stages: Sequence[SynapticLayer]) -> None:
        self._stages = tuple(stages)

    def weight(self, index: int) -> Tensor:
        stage = self._stages[index]
        if index not in self._current:
            self._current.add(index)
            self.tell_transport(stage, Transported.whole(stage.weight))
        return stage.weight

    def step(self) -> None:
        self._current.clear()
