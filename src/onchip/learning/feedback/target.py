"""Feedback from the targets, in place of errors."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from onchip.errors import require
from onchip.learning.description import ErrorPath
from onchip.learning.feedback.base import LossSignals
from onchip.learning.feedback.direct import MatrixFeedback
from onchip.learning.observers import ProductKind


class TargetProjection(MatrixFeedback):
    """Fixed uniform feedback from the target to the input of each layer, g = -F y / N, without any error.

    Args:
        method: Name of the rule, for messages.
        rate: Chance of a teaching event at each time step of each sample, in (0, 1]; without one there is no
            feedback. All layers receive the same events.

    Raises:
        RequestError: The rate is out of range.
    """

    claims = replace(MatrixFeedback.claims, update_unlocked=True)

    stem = "target_"
    by_target = True
    kind: ProductKind = "target"

    def __init__(self, method: str, *, rate: float = 1.0) -> None:
        super().__init__()
        require(0.0 < rate <= 1.0, method, "rate", rate, "a chance per time step, in (0, 1]")
        self._method = method
        self._rate = rate
        self._taught: tuple[LossSignals, Tensor] | None = None

    def paths(self, above: Sequence[int]) -> tuple[ErrorPath, ...]:
        return tuple(replace(path, origin="target", per_step=self._rate) for path in super().paths(above))

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        return self.stored_matrix(self._method, index, units, error)

    def sends(self, signals: LossSignals, index: int) -> Tensor:
        targets = signals.targets
        assert targets is not None
        if self._rate == 1.0:
            return targets
        if self._taught is None or self._taught[0] is not signals:
            events = torch.rand(targets.shape[:-1], device=targets.device) < self._rate
            self.report_draws(index, events.numel())
            self._taught = signals, targets * events.unsqueeze(-1)
        return self._taught[1]

    def learn(self) -> None:
        super().learn()
        self._taught = None
