"""Online spatio-temporal learning with target projection."""

from torch import nn

from onchip.learning.feedback.target import TargetProjection
from onchip.learning.rule import Rule
from onchip.learning.temporal.own_state import OwnState
from onchip.nn.signals import TIME_STEPS


def osttp(model: nn.Module) -> Rule:
    """Online spatio-temporal learning with target projection: targets through random weights meet eligibility traces.

        ΔW = sum_t g e[t],   g_l = -F_l y / N,   e[t] = d s[t] / d W through the state of the neuron itself

    y is one-hot and N the number of time steps and samples that have a target. As `ostl`, but no layer waits for the
    layers above; the read-out learns from its own error. Pass the labels: `rule.backward(loss, targets=labels)`.

    Limit: `drtp`, except for biases, for neurons whose eligibility is a presynaptic trace (LIF).
    Cost: no weight is ever transported and no phase of errors; n_l · classes feedback weights per layer; in a stream,
        eligibility as in `ostl`.

    Args:
        model: A network of `onchip.nn` whose neurons have a state over time.

    Raises:
        UnsupportedError: the neurons have no time steps.

    Reference: Ortner, Pes, Gentinetta, Frenkel, Pantazi 2023 (OSTTP, AICAS, arXiv 2304.05124).
    """
    temporal = OwnState(filtered=False)
    return Rule("osttp", model, feedback=TargetProjection("osttp"), temporal=temporal, trains=(TIME_STEPS,))
