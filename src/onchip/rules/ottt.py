"""Online training through time."""

from torch import nn

from onchip.learning.feedback.transposed import TransposedFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.online import Online
from onchip.nn.signals import TIME_STEPS


def ottt(model: nn.Module) -> Rule:
    """Online training through time: presynaptic traces instead of a backward pass through time.

        ΔW = sum_t (ψ(u[t]) g[t]) ⊗ a[t],   a[t] = λ a[t-1] + x[t]

    Errors come down through the forward weights at the same time step.

    Limit: equal to `bp` for the weights of the last hidden layer if the neurons have a soft, detached reset. Biases
        have no trace, so that their update is smaller than in `bp`.
    Cost: weight transport as in `bp`; stored activity does not grow with T (`rule.stream`).

    Args:
        model: A network of `onchip.nn` whose neurons have a state over time.

    Raises:
        UnsupportedError: the neurons have spike times, and so no time steps.

    Reference: Xiao et al. 2022 (OTTT, NeurIPS), equations 5 to 7.
    """
    return Rule("ottt", model, feedback=TransposedFeedback(), temporal=Online(), trains=(TIME_STEPS,))
