"""Direct feedback through the weights of the read-out."""

from torch import Tensor

from onchip.certificates import Claims
from onchip.errors import UnsupportedError
from onchip.learning.feedback.direct import MatrixFeedback
from onchip.transport import Transported


class ReadoutFeedback(MatrixFeedback):
    """Feedback F = W_out^T to the one hidden layer, which drives a dense read-out; `method` names the rule.

    On a chip this is weight transport: the feedback needs a new copy whenever the read-out has changed.
    """

    claims = Claims(
        backward_unlocked=True, unshared_feedback=True, temporally_causal=True, online=True, batch_independent=True
    )

    def __init__(self, method: str) -> None:
        super().__init__()
        self._method = method
        self._sent = False

    def attach(self) -> None:
        last = self.layers[-1]
        if len(self.hidden) != 1 or last.synapse.bare().spatial_axes:
            raise UnsupportedError(
                f"{self._method} with symmetric feedback sends errors through the read-out's weights, which only a "
                f"hidden layer right before a dense read-out has; this network has {len(self.hidden)} hidden signals. "
                "Use feedback='random' or feedback='adaptive'"
            )
        super().attach()

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        weight = self.layers[-1].weight
        if not self._sent:
            self._sent = True
            self.report_transport(len(self.layers) - 1, Transported.whole(weight))
        return weight.t()

    def step(self) -> None:
        super().step()
        self._sent = False
