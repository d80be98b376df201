"""Backpropagation: the reference for all other rules."""

from torch import nn

from onchip.learning.feedback.transposed import TransposedFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.through_time import ThroughTime


def bp(model: nn.Module) -> Rule:
    """Backpropagation, through time if neurons have a state, with surrogate gradients.

    Errors come down through the forward weights and back through all time steps.

    Limit: equal to plain autograd on the same network.
    Cost: every weight but the first layer's is transported after each update; activity of all T steps is
        stored; forward and backward phases alternate.

    Args:
        model: A network of `onchip.nn`.

    Reference: Neftci et al. 2019 (surrogate gradients); Goupy et al. 2025 for spike times.
    """
    return Rule("bp", model, feedback=TransposedFeedback(), temporal=ThroughTime())
