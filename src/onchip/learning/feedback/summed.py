"""The sum of several kinds of direct feedback."""

from collections.abc import Sequence
from functools import reduce
from operator import and_

from torch import Tensor

from onchip.errors import require
from onchip.learning.description import ErrorPath
from onchip.learning.feedback.base import DirectFeedback, LossSignals
from onchip.learning.feedback.local import LocalReadouts
from onchip.nn.signals import Signal


class SummedFeedback(DirectFeedback):
    """The sum of the errors of several direct feedbacks, of which at most one has local read-outs."""

    def __init__(self, *parts: DirectFeedback) -> None:
        super().__init__()
        self._summands = parts
        for number, part in enumerate(parts):
            self.add_module(f"part_{number}", part)
        self.claims = reduce(and_, (part.claims for part in parts))
        self.by_target = any(part.by_target for part in parts)
        self.at_neurons = any(part.at_neurons for part in parts)
        self.perturbs = any(part.perturbs for part in parts)

    def paths(self, above: Sequence[int]) -> tuple[ErrorPath, ...]:
        return tuple(
            path.within(f"part_{number}") for number, part in enumerate(self._summands) for path in part.paths(above)
        )

    def receive(self, index: int, activity: Tensor) -> Tensor:
        for part in self._summands:
            activity = part.receive(index, activity)
        return activity

    def at_drive(self, index: int, drive: Signal) -> Signal:
        for part in self._summands:
            drive = part.at_drive(index, drive)
        return drive

    def readout(self, index: int, activity: Tensor, classes: int) -> Tensor | None:
        outputs = (part.readout(index, activity, classes) for part in self._summands)
        return next((output for output in outputs if output is not None), None)

    def project(self, signals: LossSignals, index: int, activity: Tensor) -> Tensor:
        first, *others = (part.project(signals, index, activity) for part in self._summands)
        return sum(others, first)


def with_local_readouts(
    method: str, feedback: DirectFeedback, local: bool, readout_grid: int | None = None
) -> DirectFeedback:
    """The feedback, with the errors of local read-outs added if there shall be some.

    Args:
        method: Name of the rule, for messages.
        feedback: Feedback from the output.
        local: Whether there are local read-outs.
        readout_grid: Side of the coarse grid of the feature maps that they see; None for all pixels.

    Raises:
        RequestError: There is a grid without read-outs, or it is out of range.
    """
    require(local or readout_grid is None, method, "readout_grid", readout_grid, "none, or local=true beside it")
    return SummedFeedback(feedback, LocalReadouts(method, readout_grid)) if local else feedback
