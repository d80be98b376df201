"""Direct feedback from the read-out of a hidden layer."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from onchip.errors import RequestError
from onchip.learning.description import ErrorPath
from onchip.learning.feedback.base import DirectFeedback, LossSignals
from onchip.learning.feedback.local import LocalReadouts
from onchip.learning.feedback.perturbation import PerturbationFeedback
from onchip.nn.signals import Signal


class IntermediateFeedback(DirectFeedback):
    """Feedback to the layers below one hidden layer from its read-out, estimated separately from the same noise.

    Args:
        main: Estimates from the network's output, which add the noise.
        lower: Estimates from the intermediate read-out, which reuse that noise.
        readouts: Local read-outs.
        at: Number of the hidden layer with the read-out, at least 2, counted from the input.
        everywhere: Whether every hidden layer, not only this one, learns from a read-out of its own.

    Raises:
        RequestError: `attach` gets a network without that layer, or without a layer below it.
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
        self.claims = main.claims & lower.claims & readouts.claims
        self.at_neurons = main.at_neurons
        self.perturbs = True
        self._at = at
        self._index = 0
        self._everywhere = everywhere

    def attach(self) -> None:
        if not 2 <= self._at <= len(self.hidden):
            raise RequestError(
                f"got intermediate={self._at} for a network of {len(self.hidden)} hidden layers; expected one from 2, "
                "so that there are layers below, to the last"
            )
        self._index = self.hidden[self._at - 1]
        super().attach()

    def paths(self, above: Sequence[int]) -> tuple[ErrorPath, ...]:
        paths = [path.within("main") for path in self.main.paths(above)]
        if self._everywhere or self._index in above:
            paths += [path.within("readouts") for path in self.readouts.paths(above)]
        lower = tuple(index for index in above if index < self._index)
        if lower:
            paths += [replace(path.within("lower"), origin="local read-out") for path in self.lower.paths(lower)]
        return tuple(paths)

    def receive(self, index: int, activity: Tensor) -> Tensor:
        noisy = self.main.receive(index, activity)
        if index < self._index:
            self.lower.take_over(self.main, index)
        return noisy

    def at_drive(self, index: int, drive: Signal) -> Signal:
        noisy = self.main.at_drive(index, drive)
        if index + 1 < self._index:
            self.lower.take_over(self.main, index + 1)
        return noisy

    def outcome(self, output: Tensor) -> None:
        self.main.outcome(output)

    def readout(self, index: int, activity: Tensor, classes: int) -> Tensor | None:
        if index != self._index and not self._everywhere:
            return None
        output = self.readouts.readout(index, activity, classes)
        if index == self._index and output is not None:
            self.lower.outcome(output)
        return output

    def project(self, signals: LossSignals, index: int, activity: Tensor) -> Tensor:
        error = self.main.project(signals, index, activity)
        if index == self._index or self._everywhere:
            error = error + self.readouts.project(signals, index, activity)
        if index < self._index:
            own = signals.local[self._index]
            error = error + self.lower.project(replace(signals, error=own, sent=own), index, activity)
        return error
