"""Uniform sign-symmetric feedback."""

from torch import Tensor, nn

from onchip._types import checked
from onchip.learning.feedback.sign_symmetric import SignSymmetricFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.through_time import ThroughTime


@checked
def usf(model: nn.Module, *, temporal: Temporal = ThroughTime()) -> Rule:
    """Uniform sign-concordant feedback: errors come down through the signs of the weights.

        g = B^T δ,   B = c sign(W),   c = root mean square of W_0, one constant per layer

    The constant depends only on the initial weights, so no scale is ever sent.

    Limit: equal to `bp` while all weights of a layer are ±c.
    Cost: one transported bit per weight at each step; feedback memory of one bit per weight.

    Args:
        model: A network of `onchip.nn`.
        temporal: Temporal credit assignment: `ThroughTime()` by default, or `Online()`.

    Reference: Liao et al. 2016 (AAAI); named so by Moskovitz et al. 2018 (arXiv 1812.06488).
    """
    return Rule("usf", model, feedback=UniformSigns(), temporal=temporal)


class UniformSigns(SignSymmetricFeedback):
    """One magnitude for all weights of a layer."""

    def magnitude(self, weight: Tensor, scale: Tensor) -> Tensor:
        return scale.clone()
