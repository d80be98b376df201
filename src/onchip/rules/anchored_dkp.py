"""Direct Kolen-Pollack, anchored by perturbation estimates."""

import math

from torch import Tensor, nn

from onchip._types import checked
from onchip.errors import require
from onchip.learning.centering import Centering, LeaveOneOut
from onchip.learning.feedback.perturbation import PerturbationFeedback
from onchip.learning.feedback.summed import with_local_readouts
from onchip.learning.noise import Noise, Rademacher
from onchip.learning.rule import Rule
from onchip.learning.temporal.online import Online
from onchip.nn.signals import TIME_STEPS


@checked
def anchored_dkp(
    model: nn.Module,
    *,
    scale: float = 0.2,
    momentum: float = 0.995,
    decay: float = 1e-4,
    noise: Noise = Rademacher(),
    centering: Centering = LeaveOneOut(),
    quiet_after: int | None = None,
    grid: int | None = None,
    local: bool = False,
    readout_grid: int | None = None,
) -> Rule:
    """Feedback matrices that learn both from noise, as in `opzo`, and by the optimizer, as in `dkp`.

        h_l <- h_l + α z_l,   D <- λ D + α² T B
        M_l <- M_l + α² T B / D (1/(α T B) sum_t,b z_l õ^T - M_l),   g_l = M_l e,   ∂M_l = sum_t,b h_l e^T + decay M_l

    The estimates from noise anchor M to the true derivative; the Kolen-Pollack updates follow the weights from one step
    to the next, and give errors a direction in early layers, where the estimate stays poor for long.

    Limit: `opzo` without the Kolen-Pollack updates; without noise from some step on, `dkp` that starts from the
        estimate.
    Cost: that of `opzo`, and as many products again per feedback weight to learn; no random numbers and no estimates
        once the noise is off.

    Args:
        model: A network of `onchip.nn` whose neurons have a state over time.
        scale: Standard deviation α of the noise, above 0, in units of one spike.
        momentum: Factor λ, in [0, 1), by which the weight of all earlier estimates decays per estimate.
        decay: Weight decay of M, at least 0; it counts once per training step.
        noise: Distribution of the noise: `Rademacher()` by default, one random bit per neuron, or `Gaussian()`, which
            is no better.
        centering: How the output is centered; `LeaveOneOut()` by default.
        quiet_after: Training steps after which there is neither noise nor an estimate; None for never.
        grid: Side of the coarse grid for feature maps, as in `opzo`, also for the Kolen-Pollack updates; None for all
            pixels.
        local: Whether the errors of local read-outs are added, as in `local_learning`; the loss is then the sum over
            `rule.outputs`.
        readout_grid: Side of the coarse grid of the feature maps that local read-outs see; None for all pixels.

    Raises:
        RequestError: an option is out of range, or there is a grid for read-outs without read-outs.
        UnsupportedError: the neurons have spike times.

    Reference: ours; combines Xiao et al. 2024 (OPZO, arXiv 2407.12516) and Webster, Choi, Ahn 2021 (DKP, arXiv
        2012.00152).
    """
    learned = AnchoredFeedback(scale, momentum, decay, noise, centering, quiet_after, grid)
    feedback = with_local_readouts("anchored_dkp", learned, local, readout_grid)
    return Rule("anchored_dkp", model, feedback=feedback, temporal=Online(), trains=(TIME_STEPS,))


class AnchoredFeedback(PerturbationFeedback):
    """Matrices that an optimizer trains and that estimates from noise correct."""

    stem = "feedback_"
    learned = True

    def __init__(
        self,
        scale: float,
        momentum: float,
        decay: float,
        noise: Noise,
        centering: Centering,
        quiet_after: int | None,
        grid: int | None,
    ) -> None:
        super().__init__("anchored_dkp", scale, momentum, noise, centering, quiet_after, grid=grid)
        require(0.0 <= decay < math.inf, "anchored_dkp", "decay", decay, "a weight decay of at least 0")
        self.decay = decay

    def estimate(self, like: Tensor, index: int, units: int) -> Tensor:
        return self.stored_matrix("anchored_dkp", index, units, like)
