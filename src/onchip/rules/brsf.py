"""Batchwise random sign-symmetric feedback."""

import torch
from torch import Tensor, nn

from onchip._types import checked
from onchip.learning.feedback.sign_symmetric import SignSymmetricFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.through_time import ThroughTime


@checked
def brsf(model: nn.Module, *, temporal: Temporal = ThroughTime()) -> Rule:
    """Batchwise random sign-concordant feedback: the weights' signs with magnitudes drawn at each step.

        g = B^T δ,   B = sign(W) |N|,   N ~ N(0, mean W_0²) of W's shape, new after every training step

    The draws come from torch's global generator.

    Limit: equal to `usf` on average over the draws, up to a factor √(2/π).
    Cost: one transported bit and one random number per weight at each step; feedback weights need as much memory as
        the forward weights.

    Args:
        model: A network of `onchip.nn`.
        temporal: Temporal credit assignment: `ThroughTime()` by default, or `Online()`.

    Reference: Liao et al. 2016 (AAAI); named so by Moskovitz et al. 2018 (arXiv 1812.06488).
    """
    return Rule("brsf", model, feedback=RedrawnSigns(), temporal=temporal)


class RedrawnSigns(SignSymmetricFeedback):
    """Random magnitudes, drawn again after every training step."""

    def magnitude(self, weight: Tensor, scale: Tensor) -> Tensor:
        return torch.randn_like(weight).abs_().mul_(scale)

    def redraw(self, magnitude: Tensor, scale: Tensor) -> bool:
        magnitude.normal_().abs_().mul_(scale)
        return True
