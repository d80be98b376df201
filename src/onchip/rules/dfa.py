"""Direct feedback alignment."""

from torch import Tensor, nn

from onchip._types import checked
from onchip.learning.feedback.direct import MatrixFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.online import Online


@checked
def dfa(model: nn.Module, *, temporal: Temporal = Online()) -> Rule:
    """Direct feedback alignment: each layer receives the output error through its own fixed random weights.

        g_l = F_l e,   F_l ~ U(-1/√n_l, 1/√n_l), of shape (n_l, classes)

    No error passes from layer to layer, so there is no spatial backward pass.

    Limit: with `Online()`, equal to `ottt` in the last hidden layer if F is the transposed read-out.
    Cost: no weight is ever transported; n_l · classes feedback weights per layer; all layers learn in parallel.

    Args:
        model: A network of `onchip.nn`.
        temporal: Temporal credit assignment: `Online()` by default, or `ThroughTime()`.

    Reference: Nøkland 2016 (NeurIPS); over time as in Xiao et al. 2024 (OPZO, arXiv 2407.12516).
    """
    return Rule("dfa", model, feedback=RandomDirect(), temporal=temporal)


class RandomDirect(MatrixFeedback):
    """Fixed uniform feedback from the output to the input of each layer; `method` names the rule in messages."""

    stem = "direct_"

    def __init__(self, method: str = "dfa") -> None:
        super().__init__()
        self._method = method

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        return self.stored_matrix(self._method, index, units, error)
