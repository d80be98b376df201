"""Feedback alignment."""

from torch import nn

from onchip._types import checked
from onchip.learning.coding.base import ErrorCode
from onchip.learning.coding.real import RealErrors
from onchip.learning.feedback.stored import RandomFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.through_time import ThroughTime


@checked
def fa(model: nn.Module, *, temporal: Temporal = ThroughTime(), code: ErrorCode = RealErrors()) -> Rule:
    """Feedback alignment: errors come down through fixed random weights.

        g = B^T δ,   B drawn once, with W's shape and standard deviation

    Limit: equal to `bp` if B = W.
    Cost: no weight is ever transported; feedback weights need as much memory as the forward weights.

    Args:
        model: A network of `onchip.nn`.
        temporal: Temporal credit assignment: `ThroughTime()` by default, or `Online()`; `Counts()` for error spikes.
        code: Representation of errors: `RealErrors()` by default, or `SpikeErrors()` in networks of `Stochastic`
            neurons.

    Reference: Lillicrap et al. 2016 (Nature Communications).
    """
    return Rule("fa", model, feedback=RandomFeedback(), temporal=temporal, code=code)
