"""Online pseudo-zeroth-order training."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from onchip.errors import RequestError
from onchip.learning.centering import Centering, LeaveOneOut
from onchip.learning.feedback.base import DirectFeedback
from onchip.learning.feedback.intermediate import IntermediateFeedback
from onchip.learning.feedback.local import LocalReadouts
from onchip.learning.feedback.perturbation import PerturbationFeedback
from onchip.learning.feedback.summed import SummedFeedback
from onchip.learning.noise import Noise, Rademacher
from onchip.learning.rule import Rule
from onchip.learning.temporal.online import Online
from onchip.nn.signals import TIME_STEPS

__all__ = ["opzo"]


def opzo(
    model: nn.Module,
    *,
    scale: float = 0.2,
    momentum: float = 0.999,
    noise: Noise = Rademacher(),
    centering: Centering = LeaveOneOut(),
    quiet_after: int | None = None,
    each_step: bool = False,
    place: Literal["after", "before"] = "after",
    grid: int | None = None,
    local: bool = False,
    intermediate: int | None = None,
) -> Rule:
    """Online pseudo-zeroth-order training: one noisy forward pass estimates the feedback from the output.

        h_l <- h_l + α z_l
        M_l <- M_l + (1-λ)/(1-λ^k) (1/(α T B) sum_t,b z_l õ^T - M_l),   g_l = M_l e

    z is noise of unit variance that is added to what each layer receives, õ the centered output, k the number
    of estimates so far. Traces stand in for a backward pass through time, as in `ottt`.

    Limit: on frozen weights M approaches the mean derivative of the output by h_l; in the last hidden layer
        the transposed read-out, and the update that of `ottt`.
    Cost: no weight is ever transported and no error passes from layer to layer; n_l · classes feedback
        weights a layer, one random number a neuron and step, and the products of the estimate.

    Args:
        model: a network of `onchip.nn` whose neurons have a state over time.
        scale: α, standard deviation of the noise, in units of a spike; above 0.
        momentum: λ, the share of the estimate kept from one sequence to the next, in [0, 1).
        noise: its distribution; `Rademacher()` by default, a random bit a neuron, which is as good as `Gaussian()`.
        centering: how the output is centered; `LeaveOneOut()` by default.
        quiet_after: training steps after which no noise is added and the estimate stays; None for never.
        each_step: make an estimate of each time step, as a stream does, in place of one a sequence.
        place: of the noise: `after` the neurons and their pool, or `before` them, at their drive. Then the estimate,
            which knows of their mean derivative, still meets each neuron's own.
        grid: draw the noise of maps on a grid of that side, their lowest spatial frequencies, and keep the estimates
            there; None draws and keeps a number for each pixel.
        local: add the errors of local read-outs, as in `local_learning`; the loss is then of all `rule.outputs`.

        intermediate: a hidden layer, from 2, whose read-out teaches the layers below it too, as the output does
            (intermediate global learning); the loss is then of all `rule.outputs`. None for none.

    Raises:
        RequestError: a value out of range.
        UnsupportedError: neurons with spike times.

    Reference: Xiao et al. 2024 (OPZO, arXiv 2407.12516), section 4.
    """

    def estimated() -> OPZOFeedback:
        places = {"each_step": each_step, "at_neurons": place == "before"}
        return OPZOFeedback("opzo", scale, momentum, noise, centering, quiet_after, **places, grid=grid)

    feedback: DirectFeedback = estimated()
    if intermediate is not None:
        feedback = IntermediateFeedback(estimated(), estimated(), LocalReadouts("opzo"), intermediate, everywhere=local)
    elif local:
        feedback = SummedFeedback(feedback, LocalReadouts("opzo"))
    return Rule(
        "opzo",
        model,
        feedback=feedback,
        temporal=Online(),
        trains=(TIME_STEPS,),
    )


class OPZOFeedback(PerturbationFeedback):
    """Feedback matrices that are nothing but estimates."""

    stem = "estimate_"

    def estimate(self, like: Tensor, index: int, units: int) -> Tensor:
        name = f"{self.stem}{index}"
        if name not in self._buffers:
            self.register_buffer(name, like.new_zeros(units, like.shape[-1]))
        estimate = self.get_buffer(name)
        if estimate.shape != (units, like.shape[-1]):
            raise RequestError(
                f"opzo has an estimate of shape {tuple(estimate.shape)} for layer {self.name_of(index)!r}, which needs "
                f"{(units, like.shape[-1])}; the loaded state or the image size is another network's"
            )
        return estimate
