"""Online pseudo-zeroth-order training."""

from typing import Literal

from torch import Tensor, nn

from onchip._types import checked
from onchip.learning.centering import Centering, LeaveOneOut
from onchip.learning.feedback.intermediate import IntermediateFeedback
from onchip.learning.feedback.local import LocalReadouts
from onchip.learning.feedback.perturbation import PerturbationFeedback
from onchip.learning.feedback.summed import with_local_readouts
from onchip.learning.noise import Noise, Rademacher
from onchip.learning.rule import Rule
from onchip.learning.temporal.online import Online
from onchip.nn.signals import TIME_STEPS


@checked
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
    readout_grid: int | None = None,
    intermediate: int | None = None,
) -> Rule:
    """Online pseudo-zeroth-order training: one noisy forward pass estimates the feedback from the output.

        h_l <- h_l + α z_l
        M_l <- M_l + (1-λ)/(1-λ^k) (1/(α T B) sum_t,b z_l õ^T - M_l),   g_l = M_l e

    z is noise of unit variance that is added to the input of each layer, õ is the centered output and k the number of
    estimates so far. Traces replace the backward pass through time, as in `ottt`.

    Limit: with frozen weights M converges to the mean derivative of the output by h_l; in the last hidden layer it
        converges to the transposed read-out, and the update to that of `ottt`.
    Cost: no weight is ever transported and no error passes from layer to layer; n_l · classes feedback weights per
        layer, one random number per neuron and time step, and the products of the estimate.

    Args:
        model: A network of `onchip.nn` whose neurons have a state over time.
        scale: Standard deviation α of the noise, above 0, in units of one spike.
        momentum: Factor λ, in [0, 1), by which the weight of earlier estimates decays per sequence.
        noise: Distribution of the noise: `Rademacher()` by default, one random bit per neuron, or `Gaussian()`, which
            is no better.
        centering: How the output is centered; `LeaveOneOut()` by default.
        quiet_after: Training steps after which no noise is added and the estimate is constant; None for never.
        each_step: Whether there is an estimate per time step, as in a stream, instead of one per sequence.
        place: Where the noise is added: `after` the neurons and their pool, or `before` them, at their drive. In the
            second case errors are multiplied by each neuron's own derivative, beside the mean in the estimate.
        grid: Side of the coarse grid (lowest spatial frequencies) on which the noise of feature maps is drawn and the
            estimates are stored; None for all pixels.
        local: Whether the errors of local read-outs are added, as in `local_learning`; the loss is then the sum over
            `rule.outputs`.
        readout_grid: Side of the coarse grid of the feature maps that local read-outs see; None for all pixels.
        intermediate: Number of a hidden layer, from 2, whose read-out also sends errors to all layers below it
            (intermediate global learning); the loss is then the sum over `rule.outputs`. None for none.

    Raises:
        RequestError: an option is out of range, or there is a grid for read-outs without read-outs.
        UnsupportedError: the neurons have spike times.

    Reference: Xiao et al. 2024 (OPZO, arXiv 2407.12516), section 4.
    """

    def estimated() -> OPZOFeedback:
        places = {"each_step": each_step, "at_neurons": place == "before"}
        return OPZOFeedback("opzo", scale, momentum, noise, centering, quiet_after, **places, grid=grid)

    if intermediate is None:
        feedback = with_local_readouts("opzo", estimated(), local, readout_grid)
    else:
        readouts = LocalReadouts("opzo", readout_grid)
        feedback = IntermediateFeedback(estimated(), estimated(), readouts, intermediate, everywhere=local)
    return Rule("opzo", model, feedback=feedback, temporal=Online(), trains=(TIME_STEPS,))


class OPZOFeedback(PerturbationFeedback):
    """Feedback matrices that are estimates, 0 at first."""

    stem = "estimate_"

    def initialize(self, matrix: Tensor) -> Tensor:
        return matrix.zero_()

    def estimate(self, like: Tensor, index: int, units: int) -> Tensor:
        return self.stored_matrix("opzo", index, units, like)
