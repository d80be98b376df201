"""Global signals from a layer on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from onchip.errors import RequestError
from onchip.learning.feedback.local import LocalReadouts
from onchip.learning.feedback.perturbation import PerturbationFeedback
from onchip.learning.interfaces import DirectFeedback, LossSignals
from onchip.nn.graph_builder import SynapticLayer

__all__ = ["IntermediateFeedback"]


class IntermediateFeedback(DirectFeedback):
    """The read-out of one hidden layer teaches all layers below it, by estimates of its own from the same noise.

    Args:
        main: the estimates from the network's output, which add the noise.
        lower: the estimates from the intermediate read-out, which take that noise over.
        readouts: local read-outs.
        at: the hidden layer with the read-out, from 2, counted from the input.
        everywhere: whether every hidden layer learns from a read-out of its own, not just this one.

    Raises:
        RequestError: when the network is known, a layer that it has not, or with none below.
    """

    def __init__(
        self,
        main: PerturbationFeedback,
        lower: PerturbationFeedback,
        readouts: LocalReadouts,
        at: int,
        *,
        everywhere: bool,
    ) -> None:
        super().__init__()
        self.main = main
        self.lower = lower
        self.readouts = readouts
        self.inside = main.inside
        self._at = at
        self._everywhere = everywhere

    def attach(self, stages: Sequence[SynapticLayer]) -> None:
        if not 2 <= self._at < len(stages):
            raise RequestError(
                f"got intermediate={self._at} for a network of {len(stages) - 1} hidden layers; expected one from 2, "
                "so that there are layers below, to the last"
            )
        for part in (self.main, self.lower, self.readouts):
            part.attach(stages)

    def begin(self) -> None:
        self.main.begin()
        self.lower.begin()

    def receive(self, index: int, activity: Tensor) -> Tensor:
        noisy = self.main.receive(index, activity)
        if index < self._at:
            self.lower.take_over(self.main, index)
        return noisy

    def outcome(self, output: Tensor) -> None:
        self.main.outcome(output)

    def readout(self, index: int, activity: Tensor, classes: int) -> Tensor | None:
        if index != self._at and not self._everywhere:
            return None
        output = self.readouts.readout(index, activity, classes)
        if index == self._at and output is not None:
            self.lower.outcome(output)
        return output

    def project(self, verdict: LossSignals, index: int, activity: Tensor) -> Tensor:
        error = self.main.project(verdict, index, activity)
        own = verdict.local if self._everywhere else verdict.local * self._at  # the only one, wherever it is looked for
        if index == self._at or self._everywhere:
            error = error + self.readouts.project(replace(verdict, local=own), index, activity)
        if index < self._at:
            error = error + self.lower.project(replace(verdict, error=own[self._at - 1]), index, activity)
        return error

    def learn(self) -> None:
        for part in (self.main, self.lower, self.readouts):
            part.learn()

    def step(self) -> None:
        for part in (self.main, self.lower, self.readouts):
            part.step()
