"""Direct feedback through the weights of the read-out."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from onchip.certificates import Claims
from onchip.errors import UnsupportedError
from onchip.learning.description import ErrorPath
from onchip.learning.feedback.base import LossSignals
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
        self._features = torch.Size()

    def paths(self, above: Sequence[int]) -> tuple[ErrorPath, ...]:
        return (ErrorPath("output error", "forward weights", period=1.0, scheme="all weights of the read-out"),)

    def attach(self) -> None:
        # Of the layers that send errors, without recurrent connections, the read-out must be the only one.
        if len(self.hidden) != 1 or len(self.senders) != 1 or self.layers[self.senders[0]].synapse.bare().spatial_axes:
            raise self._unsupported(f"this network has {len(self.senders)} layers after the first")
        super().attach()

    def project(self, signals: LossSignals, index: int, activity: Tensor) -> Tensor:
        self._features = activity.shape[2:]
        return super().project(signals, index, activity)

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        (readout,) = self.senders
        weight = self.layers[readout].weight
        if weight.shape[1] != math.prod(self._features):
            raise self._unsupported(f"a layer between the two makes {weight.shape[1]} inputs of {units} neurons")
        if not self._sent:
            self._sent = True
            self.report_transport(readout, Transported.whole(weight))
        if len(self._features) == 3:  # maps, of which rows have the channels last
            weight = weight.unflatten(1, self._features).movedim(1, -1).flatten(1)
        return weight.t()

    def _unsupported(self, reason: str) -> UnsupportedError:
        return UnsupportedError(
            f"{self._method} with symmetric feedback sends errors through the read-out's weights, which only a hidden "
            f"layer right before a dense read-out has; {reason}. Use feedback='random' or feedback='adaptive'"
        )

    def step(self) -> None:
        super().step()
        self._sent = False
