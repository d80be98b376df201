"""Direct Kolen-Pollack learning."""

import math

from torch import Tensor, nn

from onchip._types import checked
from onchip.errors import require
from onchip.learning.feedback.direct import MatrixFeedback
from onchip.learning.feedback.summed import with_local_readouts
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.online import Online
from onchip.nn.signals import TIME_STEPS


@checked
def dkp(
    model: nn.Module,
    *,
    decay: float = 1e-4,
    temporal: Temporal = Online(),
    grid: int | None = None,
    local: bool = False,
    readout_grid: int | None = None,
) -> Rule:
    """Direct Kolen-Pollack: as `dfa`, but the feedback from the output to each layer is learned.

        g_l = F_l e,   ∂F_l = sum_t,b h_l e^T + decay F_l

    The optimizer that trains the weights also applies ∂F. F is initialized as in `dfa`.

    Limit: in the last hidden layer F and the transposed read-out have equal updates, so that under SGD with a weight
        decay of `decay` their difference shrinks by a factor 1 - lr · decay per step; in the limit the update of that
        layer is that of `ottt`.
    Cost: no weight is ever transported; n_l · classes feedback weights per layer, each with as many products to learn
        as to send an error.

    Args:
        model: A network of `onchip.nn` whose neurons have a state over time.
        decay: Weight decay of F, at least 0; it counts once per training step, however many backward passes.
        temporal: Temporal credit assignment: `Online()` by default, or `ThroughTime()`.
        grid: Side of the coarse grid (lowest spatial frequencies) of feedback to feature maps; None for all pixels.
        local: Whether the errors of local read-outs are added, as in `local_learning`; the loss is then the sum over
            `rule.outputs`.
        readout_grid: Side of the coarse grid of the feature maps that local read-outs see; None for all pixels.

    Raises:
        RequestError: the decay or a grid is out of range, or there is a grid for read-outs without read-outs.
        UnsupportedError: the neurons have spike times.

    Reference: Webster, Choi, Ahn 2021 (arXiv 2012.00152); over time, and the decay, as in Xiao et al. 2024 (OPZO,
        arXiv 2407.12516).
    """
    learned = KolenPollackDirect("dkp", decay, grid)
    feedback = with_local_readouts("dkp", learned, local, readout_grid)
    return Rule("dkp", model, feedback=feedback, temporal=temporal, trains=(TIME_STEPS,))


class KolenPollackDirect(MatrixFeedback):
    """Feedback from the output whose gradient is the product of the error and the activity it is sent to.

    `method` names the rule in messages.
    """

    stem = "feedback_"
    learned = True
    through = "learned weights"

    def __init__(self, method: str, decay: float, grid: int | None = None) -> None:
        super().__init__(grid)
        require(0.0 <= decay < math.inf, method, "decay", decay, "a weight decay of at least 0")
        self._method = method
        self.decay = decay

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        return self.stored_matrix(self._method, index, units, error)
