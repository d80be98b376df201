"""Spatial learning through time."""

from torch import nn

from onchip._types import checked
from onchip.learning.coding.random_steps import RandomSteps
from onchip.learning.coding.real import RealErrors
from onchip.learning.feedback.transposed import TransposedFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.coincidence import Coincidences
from onchip.nn.signals import TIME_STEPS


@checked
def sltt(model: nn.Module, *, steps: int | None = None) -> Rule:
    """Spatial learning through time: errors and spikes of the same time step only, without traces.

        ΔW = sum_t (ψ(u[t]) g[t]) ⊗ x[t],   g[t] = W_{l+1}^T δ_{l+1}[t]

    Errors come down through the forward weights at the same time step. With `steps` (SLTT-K) that happens at K random
    time steps per sequence, drawn from torch's global generator; the gradient is then K/T of the full one on average.

    Limit: equal to `bp` if no neuron keeps anything from one time step to the next (λ = 0).
    Cost: weight transport as in `bp`; no trace, and stored activity does not grow with T (`rule.stream`). With `steps`,
        error and update operations at K of T time steps.

    Args:
        model: A network of `onchip.nn` whose neurons have a state over time.
        steps: Number K of time steps per sequence at which the rule learns, at least 1; None for all. Not for streams,
            whose length is not known in advance.

    Raises:
        RequestError: the number of steps is out of range.
        UnsupportedError: the neurons have spike times, and so no time steps.

    Reference: Meng et al. 2023 (SLTT and SLTT-K, ICCV, arXiv 2302.14311).
    """
    code = RealErrors() if steps is None else RandomSteps(steps)
    feedback = TransposedFeedback()
    return Rule("sltt", model, feedback=feedback, temporal=Coincidences(), code=code, trains=(TIME_STEPS,))
