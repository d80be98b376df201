"""Direct rules that were tried against the gap to spatial backpropagation, and are no part of the package."""

from __future__ import annotations

from torch import Tensor, nn

from onchip.learning import Online, Rule
from onchip.learning.centering import LeaveOneOut
from onchip.learning.noise import Rademacher
from onchip.nn import TIME_STEPS
from onchip.rules.anchored_dkp import AnchoredFeedback
from onchip.rules.dkp import KolenPollackDirect

__all__ = ["matched_dkp", "now_and_then"]

DECAY = 1e-4


def matched_dkp(model: nn.Module) -> Rule:
    """`dkp` whose errors pass g_l = |F_L| / |F_l| F_l e: matrices of one norm, that of the last hidden layer."""
    return Rule("matched_dkp", model, feedback=MatchedFeedback("dkp", DECAY), temporal=Online(), trains=(TIME_STEPS,))


class MatchedFeedback(KolenPollackDirect):
    """Learned matrices that are scaled to the norm of the last one."""

    def back(self, error: Tensor, index: int, units: int) -> Tensor:
        matrix = self.matrix(error, index, units)
        last = self.get_parameter(f"{self.stem}{self.hidden[-1]}")
        return matrix * (last.norm() / matrix.norm()) if len(last) else matrix  # empty before the first backward pass


def now_and_then(model: nn.Module, *, every: int = 4) -> Rule:
    """`anchored_dkp` whose noise is added in one training step of so many, to the end of the training."""
    feedback = RareNoise(0.2, 0.995, DECAY, Rademacher(), LeaveOneOut(), None, None)
    feedback.every = every
    return Rule("now_and_then", model, feedback=feedback, temporal=Online(), trains=(TIME_STEPS,))


class RareNoise(AnchoredFeedback):
    """Estimates from the noise of a few steps."""

    every: int = 1

    def receive(self, index: int, activity: Tensor) -> Tensor:
        return activity if self.steps % self.every else super().receive(index, activity)
