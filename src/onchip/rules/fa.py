"""Feedback alignment."""

from __future__ import annotations

from torch import nn

from onchip.learning.coding.base import ErrorCode
from onchip.learning.coding.real import RealErrors
from onchip.learning.feedback.stored import RandomFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.through_time import ThroughTime

__all__ = ["fa"]


def fa(model: nn.Module, *, temporal: Temporal = ThroughTime(), code: ErrorCode = RealErrors()) -> Rule:
    """Feedback alignment: errors come down through fixed random weights.

        g = B^T δ,   B drawn once, of W's shape and with W's standard deviation

    Limit: equal to `bp` if B were W.
    Cost: no weight is ever transported; feedback weights take as much memory as the forward ones.

    Args:
        model: a network of `onchip.nn`.
        temporal: what of the past counts; `ThroughTime()` by default, or `Online()`; `Counts()` with spikes.
        code: what carries errors; `RealErrors()` by default, or `Spikes()` in networks of `Stochastic` neurons.

    Reference: Lillicrap et al. 2016 (Nature Communications).
    """
    return Rule(
        "fa",
        model,
        feedback=RandomFeedback(),
        temporal=temporal,
        code=code,
    )
