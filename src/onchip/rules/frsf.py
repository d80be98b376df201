"""Fixed random sign-symmetric feedback."""

import torch
from torch import Tensor, nn

from onchip._types import checked
from onchip.learning.feedback.sign_symmetric import SignSymmetricFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.through_time import ThroughTime


@checked
def frsf(model: nn.Module, *, temporal: Temporal = ThroughTime()) -> Rule:
    """Fixed random sign-concordant feedback: the weights' signs with magnitudes drawn once.

        g = B^T δ,   B = sign(W) |B_0|,   B_0 ~ N(0, mean W_0²) of W's shape, drawn once

    Limit: equal to `fa` with feedback |B_0| while all weights are positive.
    Cost: one transported bit per weight at each step; feedback weights need as much memory as the forward weights.

    Args:
        model: A network of `onchip.nn`.
        temporal: Temporal credit assignment: `ThroughTime()` by default, or `Online()`.

    Reference: Liao et al. 2016 (AAAI); named so by Moskovitz et al. 2018 (arXiv 1812.06488).
    """
    return Rule("frsf", model, feedback=FixedSigns(), temporal=temporal)


class FixedSigns(SignSymmetricFeedback):
    """Random magnitudes, drawn once."""

    def magnitude(self, weight: Tensor, scale: Tensor) -> Tensor:
        return torch.randn_like(weight).abs_().mul_(scale)
