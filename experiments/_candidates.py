"""A direct rule that was tried against the gap to spatial backpropagation, and is no part of the package."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onchip.learning import Online, Rule
from onchip.learning.centering import LeaveOneOut
from onchip.learning.feedback.base import LossSignals
from onchip.learning.feedback.summed import SummedFeedback
from onchip.learning.noise import Rademacher
from onchip.nn import TIME_STEPS
from onchip.rules.dkp import KolenPollackDirect
from onchip.rules.opzo import OPZOFeedback

__all__ = ["quiet_last"]

DECAY = 1e-4


def quiet_last(model: nn.Module, *, quiet_after: int | None = None) -> Rule:
    """`opzo` without noise in the last hidden layer, whose matrix learns as in `dkp` from 0.

    The output then responds to the noise of the other layers alone, so that their estimates are less noisy.
    """
    estimated = BelowLast("opzo", 0.2, 0.999, Rademacher(), LeaveOneOut(), quiet_after)
    feedback = SummedFeedback(estimated, LastAlone("opzo", DECAY))
    return Rule("opzo", model, feedback=feedback, temporal=Online(), trains=(TIME_STEPS,))


class BelowLast(OPZOFeedback):
    """Estimates for all hidden layers but the last."""

    def receive(self, index: int, activity: Tensor) -> Tensor:
        return activity if index == self.hidden[-1] else super().receive(index, activity)

    def project(self, signals: LossSignals, index: int, activity: Tensor) -> Tensor:
        return torch.zeros_like(activity) if index == self.hidden[-1] else super().project(signals, index, activity)


class LastAlone(KolenPollackDirect):
    """A learned matrix for the last hidden layer alone, 0 at first."""

    def attach(self) -> None:
        self.register_parameter(f"{self.stem}{self.hidden[-1]}", nn.Parameter(self.layers[-1].weight.new_empty(0, 0)))

    def initialize(self, matrix: Tensor) -> Tensor:
        return matrix.zero_()

    def project(self, signals: LossSignals, index: int, activity: Tensor) -> Tensor:
        return super().project(signals, index, activity) if index == self.hidden[-1] else torch.zeros_like(activity)
