"""Eligibility propagation."""

from collections.abc import Callable
from typing import Literal

from torch import nn

from onchip._types import checked
from onchip.learning.feedback.direct import MatrixFeedback
from onchip.learning.feedback.readout_copy import ReadoutFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.own_state import OwnState
from onchip.nn.signals import TIME_STEPS
from onchip.rules.dfa import RandomDirect
from onchip.rules.dkp import KolenPollackDirect


@checked
def eprop(
    model: nn.Module, *, feedback: Literal["random", "symmetric", "adaptive"] = "random", decay: float = 1e-4
) -> Rule:
    """Eligibility propagation: a learning signal per neuron meets an eligibility trace per synapse.

        ΔW = sum_t L[t] ē[t],   L_l[t] = B_l error[t],   e[t] = d s[t] / d W through the state of the neuron itself

    Recurrent weights have the neurons' own activity at t-1 as presynaptic signal. A leaky read-out with decay κ filters
    the eligibility, ē[t] = κ ē[t-1] + e[t]; over a whole sequence the learning signal is filtered backward instead,
    which gives the same sum.

    Limit: with `feedback="symmetric"` and a read-out without spikes, equal to `bp` with the derivatives of the paths
        through spikes, from one time step to the next, set to zero; with `feedback="random"` and a read-out without
        leak, `dfa`, except for biases, for neurons whose eligibility is a presynaptic trace.
    Cost: `random` and `adaptive` transport no weight. Over whole sequences the memory of `bp`; in a stream
        (`rule.stream`) memory that does not grow with T: a trace per presynaptic neuron, or, with adaptive thresholds,
        time constants per neuron or a leaky read-out, one or more states per synapse.

    Args:
        model: A network of `onchip.nn` whose neurons have a state over time.
        feedback: B: fixed `random` numbers, the transposed read-out (`symmetric`, for one hidden layer), or `adaptive`,
            learned by the product that updates the read-out, as in `dkp`.
        decay: Weight decay of adaptive feedback, at least 0.

    Raises:
        RequestError: the decay is out of range.
        UnsupportedError: the neurons have no time steps, or symmetric feedback has more than one hidden layer.

    Reference: Bellec et al. 2020 (Nature Communications 11, 3625), equations 1 and 4; 24 and 25 for ALIF.
    """
    kinds: dict[str, Callable[[], MatrixFeedback]] = {
        "random": lambda: RandomDirect("eprop"),
        "symmetric": lambda: ReadoutFeedback("eprop"),
        "adaptive": lambda: KolenPollackDirect("eprop", decay),
    }
    temporal = OwnState(filtered=True)
    return Rule("eprop", model, feedback=kinds[feedback](), temporal=temporal, trains=(TIME_STEPS,))
