"""Direct random target projection."""

from torch import nn

from onchip._types import checked
from onchip.learning.feedback.target import TargetProjection
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.online import Online
from onchip.nn.signals import TIME_STEPS


@checked
def drtp(model: nn.Module, *, temporal: Temporal = Online()) -> Rule:
    """Direct random target projection: each hidden layer receives the target, not an error, through random weights.

        g_l = -F_l y / N,   F_l ~ U(-1/√n_l, 1/√n_l), of shape (n_l, classes)

    y is one-hot and N the number of time steps and samples that have a target, as in the mean of a loss. A hidden layer
    can learn before the layers above have computed anything; the read-out learns from its own error. Pass the labels:
    `rule.backward(loss, targets=labels)`. The paper has networks without time; over time, targets take the place of
    errors in `dfa`.

    Limit: equal to `dfa` in the hidden layers for the loss -mean o_y, whose error is -y / N.
    Cost: no weight is ever transported; n_l · classes feedback weights per layer, of which each sample reads n_l, and
        no phase of errors.

    Args:
        model: A network of `onchip.nn` whose neurons have a state over time.
        temporal: Temporal credit assignment: `Online()` by default, or `ThroughTime()`.

    Raises:
        UnsupportedError: the neurons have spike times.

    Reference: Frenkel, Lefebvre, Bol 2021 (DRTP, Frontiers in Neuroscience 15, 629892).
    """
    return Rule("drtp", model, feedback=TargetProjection("drtp"), temporal=temporal, trains=(TIME_STEPS,))
