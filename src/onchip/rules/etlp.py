"""Event-based three-factor local plasticity."""

from torch import nn

from onchip._types import checked
from onchip.learning.feedback.target import TargetProjection
from onchip.learning.rule import Rule
from onchip.learning.temporal.online import Online
from onchip.nn.signals import TIME_STEPS


@checked
def etlp(model: nn.Module, *, rate: float = 1.0) -> Rule:
    """Event-based three-factor local plasticity: teaching events trigger updates from trace and membrane.

        ΔW = sum_t k[t] (ψ(u[t]) g) ⊗ a[t],   g_l = -F_l y / N,   a[t] = λ a[t-1] + x[t],   k[t] ~ Bernoulli(rate)

    The third factor is the target through fixed random weights, as in `drtp`; at time steps without a teaching event
    nothing is updated. The events of all layers are the same, and are drawn per sample from torch's global generator.
    The read-out learns from its own error. Pass the labels: `rule.backward(loss, targets=labels)`.

    Limit: equal to `drtp` with traces if there is an event at each time step, `rate=1`.
    Cost: no weight is ever transported; n_l · classes feedback weights per layer; an update only where there is an
        event, and no phase of errors.

    Args:
        model: A network of `onchip.nn` whose neurons have a state over time.
        rate: Chance of a teaching event per time step, in (0, 1].

    Raises:
        RequestError: the rate is out of range.
        UnsupportedError: the neurons have spike times.

    Reference: Quintana et al. 2024 (ETLP, Neuromorphic Computing and Engineering 4, 034006; arXiv 2301.08281).
    """
    feedback = TargetProjection("etlp", rate=rate)
    return Rule("etlp", model, feedback=feedback, temporal=Online(), trains=(TIME_STEPS,))
