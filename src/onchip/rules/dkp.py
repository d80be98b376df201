"""Direct Kolen-Pollack learning."""

from __future__ import annotations

import math

from torch import Tensor, nn

from onchip.errors import RequestError
from onchip.learning.feedback.direct import MatrixFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.online import Online
from onchip.nn.signals import TIME_STEPS

__all__ = ["dkp"]


def dkp(model: nn.Module, *, decay: float = 1e-4, temporal: Temporal = Online(), grid: int | None = None) -> Rule:
    """Direct Kolen-Pollack: as `dfa`, but the feedback from the output to each layer learns.

        g_l = F_l e,   ∂F_l = sum_t,b h_l e^T + decay F_l

    The optimizer that trains the weights also applies ∂F. F begins as in `dfa`.

    Limit: in the last hidden layer F and the transposed read-out get one update, so that under SGD with a
        weight decay of `decay` their difference shrinks by 1 - rate · decay a step; once it is gone, that
        layer's update is that of `ottt`.
    Cost: no weight is ever transported; n_l · classes feedback weights a layer, and for each as many products
        to learn as to send an error.

    Args:
        model: a network of `onchip.nn` whose neurons have a state over time.
        decay: weight decay of F, at least 0; it counts once a training step, however many backward passes.
        temporal: what of the past counts; `Online()` by default, or `ThroughTime()`.
        grid: side of the grid of lowest spatial frequencies on which feedback to maps lives; None for all pixels.

    Raises:
        RequestError: a decay or a grid out of range.
        UnsupportedError: neurons with spike times.

    Reference: Webster, Choi, Ahn 2021 (arXiv 2012.00152); over time, and the decay, as in Xiao et al. 2024 (OPZO,
        arXiv 2407.12516).
    """
    return Rule(
        "dkp",
        model,
        feedback=KolenPollackDirect(decay, grid),
        temporal=temporal,
        trains=(TIME_STEPS,),
    )


class KolenPollackDirect(MatrixFeedback):
    """Feedback from the output that learns by what it sends and where it arrives."""

    stem = "feedback_"
    learned = True

    def __init__(self, decay: float, grid: int | None) -> None:
        super().__init__(grid)
        if not 0.0 <= decay < math.inf:
            raise RequestError(f"dkp got decay={decay}; expected a weight decay of at least 0")
        self.decay = decay

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        return self.grown("dkp", index, units, error.shape[-1])
