"""Backpropagation under forward noise."""

from __future__ import annotations

from torch import nn

from onchip.learning.feedback.transposed import TransposedFeedback
from onchip.learning.noise import Added, Noise, Rademacher
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.online import Online
from onchip.nn.signals import TIME_STEPS

__all__ = ["noisy_bp"]


def noisy_bp(
    model: nn.Module, *, scale: float = 0.2, noise: Noise = Rademacher(), temporal: Temporal = Online()
) -> Rule:
    """Errors through the forward weights, in a forward pass with the noise of `opzo`.

        h_l <- h_l + α z_l

    The control that tells what `opzo` loses to its noise from what it loses to its feedback.

    Limit: as α goes to 0, `ottt`, or `bp` with `ThroughTime()`; for one seed the forward pass is that of `opzo`.
    Cost: weights transported as by `bp`; one random number a neuron and step.

    Args:
        model: a network of `onchip.nn` whose neurons have a state over time.
        scale: α, standard deviation of the noise, in units of a spike; above 0.
        noise: its distribution; `Rademacher()` by default, a random bit a neuron, which is as good as `Gaussian()`.
        temporal: what of the past counts; `Online()` by default, as in `opzo`, or `ThroughTime()`.

    Raises:
        RequestError: a scale out of range.
        UnsupportedError: neurons with spike times.

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
