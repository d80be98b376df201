"""Direct feedback that adds up."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from onchip.learning.interfaces import DirectFeedback, LossSignals, Observer
from onchip.nn.graph_builder import SynapticLayer

__all__ = ["SummedFeedback"]


class SummedFeedback(DirectFeedback):
    """The errors of several parts, added; at most one of them has local read-outs.

    Args:
        parts: direct feedback that this one takes over.
    """

    def __init__(self, *parts: DirectFeedback) -> None:
        super().__init__()
        self._parts = parts
        self.parts = nn.ModuleList(parts)
        self.inside = any(part.inside for part in parts)

    def attach(self, stages: Sequence[SynapticLayer]) -> None:
        for part in self._parts:
            part.attach(stages)

    def tell_initial(self, observer: Observer) -> None:
        for part in self._parts:
            part.tell_initial(observer)

    def begin(self) -> None:
        for part in self._parts:
            part.begin()

    def receive(self, index: int, activity: Tensor) -> Tensor:
        for part in self._parts:
            activity = part.receive(index, activity)
        return activity

    def outcome(self, output: Tensor) -> None:
        for part in self._parts:
            part.outcome(output)

    def readout(self, index: int, activity: Tensor, classes: int) -> Tensor | None:
        outputs = (part.readout(index, activity, classes) for part in self._parts)
        return next((output for output in outputs if output is not None), None)

    def project(self, verdict: LossSignals, index: int, activity: Tensor) -> Tensor:
        first, *others = (part.project(verdict, index, activity) for part in self._parts)
        return sum(others, first)

    def learn(self) -> None:
        for part in self._parts:
            part.learn()

    def step(self) -> None:
        for part in self._parts:
            part.step()
