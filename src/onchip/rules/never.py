"""Feedback through the first weights, which are never transported again."""

from torch import nn

from onchip._types import checked
from onchip.learning.coding.base import ErrorCode
from onchip.learning.coding.real import RealErrors
from onchip.learning.feedback.stored import CopiedFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.through_time import ThroughTime


@checked
def never(model: nn.Module, *, temporal: Temporal = ThroughTime(), code: ErrorCode = RealErrors()) -> Rule:
    """Errors come down through the initial weights: the baseline of weight transport.

        g = B^T δ,   B = W_0

    A transport scheme is worth its bits only where it is better than this rule, which on shallow networks can be as
    good as `bp`.

    Limit: equal to `bp` at the first step; to `fbp` until its first transport.
    Cost: one copy of the weights before training, none if both ends draw W_0 from one seed; feedback weights need as
        much memory as the forward weights.

    Args:
        model: A network of `onchip.nn`.
        temporal: Temporal credit assignment: `ThroughTime()` by default, or `Online()`; `Counts()` for error spikes.
        code: Representation of errors: `RealErrors()` by default, or `SpikeErrors()` in networks of `Stochastic`
            neurons.

    Reference: Goupy et al. 2025 (arXiv 2505.13741), with an infinite period.
    """
    return Rule("never", model, feedback=CopiedFeedback(), temporal=temporal, code=code)
