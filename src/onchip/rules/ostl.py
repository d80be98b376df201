"""Online spatio-temporal learning."""

from torch import nn

from onchip.learning.feedback.transposed import TransposedFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.own_state import OwnState
from onchip.nn.signals import TIME_STEPS


def ostl(model: nn.Module) -> Rule:
    """Online spatio-temporal learning: errors from layer to layer at each time step meet eligibility traces.

        ΔW = sum_t g[t] e[t],   g_l[t] = W_{l+1}^T δ_{l+1}[t],   e[t] = d s[t] / d W through the own state

    Spatial and temporal credit are separate: an error passes down at its own time step only, and what the state of a
    neuron passes on is in the eligibility.

    Limit: `ottt`, except for biases, for neurons whose eligibility is a presynaptic trace (LIF); for one layer of
        neurons that is the read-out, `bp` with the derivative of the reset detached.
    Cost: weight transport as in `bp`; memory that does not grow with T (`rule.stream`): a trace per presynaptic neuron,
        or, with adaptive thresholds or time constants per neuron, one or more states per synapse.

    Args:
        model: A network of `onchip.nn` whose neurons have a state over time.

    Raises:
        UnsupportedError: the neurons have no time steps.

    Reference: Bohnstingl et al. 2022 (OSTL, IEEE TNNLS, arXiv 2007.12723).
    """
    temporal = OwnState(filtered=False)
    return Rule("ostl", model, feedback=TransposedFeedback(), temporal=temporal, trains=(TIME_STEPS,))
