"""Direct feedback alignment."""

from __future__ import annotations

import math

from torch import Tensor, nn

from onchip.errors import RequestError
from onchip.learning.feedback.direct import MatrixFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.online import Online

__all__ = ["dfa"]


def dfa(model: nn.Module, *, temporal: Temporal = Online()) -> Rule:
    """Direct feedback alignment: each layer gets the output's error through fixed random weights of its own.

        g_l = F_l e,   F_l ~ U(-1/√n_l, 1/√n_l), of shape (n_l, classes)

    No error passes from layer to layer, so there is no spatial backward pass.

    Limit: with `Online()` equal to `ottt` in the last hidden layer, if F were that layer's read-out weights.
    Cost: no weight is ever transported; n_l · classes feedback weights a layer; all layers learn at once.

    Args:
        model: a network of `onchip.nn`.
        temporal: what of the past counts; `Online()` by default, or `ThroughTime()`.

    Reference: Nøkland 2016 (NeurIPS); over time as in Xiao et al. 2024 (OPZO, arXiv 2407.12516).
    """
    return Rule(
        "dfa",
        model,
        feedback=RandomDirect(),
        temporal=temporal,
    )


class RandomDirect(MatrixFeedback):
    """Fixed uniform feedback from the output to what each layer receives."""

    stem = "direct_"

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        name, classes = f"{self.stem}{index}", error.shape[-1]
        if name not in self._buffers:
            bound = 1.0 / math.sqrt(units)
            self.register_buffer(name, error.new_empty(units, classes).uniform_(-bound, bound))
        weights = self.get_buffer(name)
        if weights.shape != (units, classes):
            raise RequestError(
                f"dfa has feedback weights {tuple(weights.shape)} for layer {self.name_of(index)!r}, which "
                f"needs {(units, classes)}; the loaded state or the image size is another network's"
            )
        return weights
