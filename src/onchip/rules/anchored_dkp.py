"""Direct Kolen-Pollack, anchored by probing."""

from __future__ import annotations

import math

from torch import Tensor, nn

from onchip.errors import RequestError
from onchip.learning.centering import Centering, LeaveOneOut
from onchip.learning.feedback.local import LocalReadouts
from onchip.learning.feedback.perturbation import PerturbationFeedback
from onchip.learning.feedback.summed import SummedFeedback
from onchip.learning.noise import Noise, Rademacher
from onchip.learning.rule import Rule
from onchip.learning.temporal.online import Online
from onchip.nn.signals import TIME_STEPS

__all__ = ["anchored_dkp"]


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
) -> Rule:
    """The feedback of `opzo`, which learns as in `dkp` too: one matrix, taught by noise and by the optimizer.

        h_l <- h_l + α z_l,   D <- λ D + α² T B
        M_l <- M_l + α² T B / D (1/(α T B) sum_t,b z_l õ^T - M_l),   g_l = M_l e,   ∂M_l = sum_t,b h_l e^T + decay M_l

    Noise tells M where and how large the true derivative is; what Kolen-Pollack adds follows the weights from one
    step to the next, and in early layers, where the estimate is poor for long, gives errors a direction.

    Limit: with no Kolen-Pollack updates `opzo`; without noise from some step on, `dkp` that begins there from the
        estimate.
    Cost: that of `opzo`, and for each feedback weight as many products again to learn; no random number and no
        estimate once the noise is off.

    Args:
        model: a network of `onchip.nn` whose neurons have a state over time.
        scale: α, standard deviation of the noise, in units of a spike; above 0.
        momentum: λ, the share kept of the weight of all estimates so far, in [0, 1).
        decay: weight decay of M, at least 0; it counts once a training step.
        noise: its distribution; `Rademacher()` by default, a random bit a neuron, which is as good as `Gaussian()`.
        centering: how the output is centered; `LeaveOneOut()` by default.
        quiet_after: training steps after which there is neither noise nor an estimate; None for never.
        grid: as in `opzo`; what Kolen-Pollack adds stays on the grid too.
        local: add the errors of local read-outs, as in `local_learning`; the loss is then of all `rule.outputs`.

    Raises:
        RequestError: a value out of range.
        UnsupportedError: neurons with spike times.

    Reference: ours; of Xiao et al. 2024 (OPZO, arXiv 2407.12516) and Webster, Choi, Ahn 2021 (DKP, arXiv 2012.00152).
    """
    feedback = Anchored(scale, momentum, decay, noise, centering, quiet_after, grid)
    return Rule(
        "anchored_dkp",
        model,
        feedback=SummedFeedback(feedback, LocalReadouts("anchored_dkp")) if local else feedback,
        temporal=Online(),
        trains=(TIME_STEPS,),
    )


class Anchored(PerturbationFeedback):
    """Matrices that an optimizer trains, and estimates hold to what noise says."""

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
        if not 0.0 <= decay < math.inf:
            raise RequestError(f"anchored_dkp got decay={decay}; expected a weight decay of at least 0")
        self.decay = decay

    def estimate(self, like: Tensor, index: int, units: int) -> Tensor:
        return self.grown("anchored_dkp", index, units, like.shape[-1])
