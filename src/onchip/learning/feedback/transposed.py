"""Feedback through the forward weights."""

from collections.abc import Sequence

from torch import Tensor

from onchip.certificates import Claims
from onchip.learning.description import ErrorPath
from onchip.learning.feedback.base import LayerwiseFeedback
from onchip.transport import Transported


class TransposedFeedback(LayerwiseFeedback):
    """Feedback through the forward weights: B = W.

    On a chip this is weight transport: the backward path needs a new copy whenever W has changed.
    """

    claims = Claims(temporally_causal=True, online=True, batch_independent=True)

    def __init__(self) -> None:
        super().__init__()
        self._current: set[int] = set()

    def paths(self, above: Sequence[int]) -> tuple[ErrorPath, ...]:
        return (ErrorPath("layer above", "forward weights", period=1.0, scheme="all weights"),)

    def weight(self, index: int) -> Tensor:
        weight = self.layers[index].weight
        if index not in self._current:
            self._current.add(index)
            self.report_transport(index, Transported.whole(weight))
        return weight

    def step(self) -> None:
        self._current.clear()
