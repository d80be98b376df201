"""Backpropagation under forward noise."""

from torch import nn

from onchip._types import checked
from onchip.learning.feedback.transposed import TransposedFeedback
from onchip.learning.noise import Added, Noise, Rademacher
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.online import Online
from onchip.nn.signals import TIME_STEPS


@checked
def noisy_bp(
    model: nn.Module, *, scale: float = 0.2, noise: Noise = Rademacher(), temporal: Temporal = Online()
) -> Rule:
    """Errors come down through the forward weights, in a forward pass with the noise of `opzo`.

        h_l <- h_l + α z_l

    The control that separates the effect of the noise of `opzo` from the effect of its feedback.

    Limit: equal to `ottt`, or `bp` with `ThroughTime()`, as α goes to 0; with one seed the forward pass is that of
        `opzo`.
    Cost: weight transport as in `bp`; one random number per neuron and time step.

    Args:
        model: A network of `onchip.nn` whose neurons have a state over time.
        scale: Standard deviation α of the noise, above 0, in units of one spike.
        noise: Distribution of the noise: `Rademacher()` by default, one random bit per neuron, or `Gaussian()`, which
            is no better.
        temporal: Temporal credit assignment: `Online()` by default, as in `opzo`, or `ThroughTime()`.

    Raises:
        RequestError: the scale is out of range.
        UnsupportedError: the neurons have spike times.

    Reference: ours; a control for Xiao et al. 2024 (OPZO, arXiv 2407.12516).
    """
    return Rule(
        "noisy_bp",
        model,
        feedback=TransposedFeedback(),
        temporal=temporal,
        noise=Added(noise, scale),
        trains=(TIME_STEPS,),
    )
