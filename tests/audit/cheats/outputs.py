"""Feedback that says it needs the target alone, and waits for the network's output."""

from __future__ import annotations

import torch
from torch import Tensor

from onchip.learning.feedback.base import LossSignals
from onchip.learning.feedback.target import TargetProjection


class Targets(TargetProjection):
    """Honest, until a subclass is not."""

    def __init__(self) -> None:
        super().__init__("cheat")


class ErrorOfOutput(Targets):
    """Projects the error of the output in place of the target."""

    def sends(self, signals: LossSignals, index: int) -> Tensor:
        return signals.error


class LossOfOutput(Targets):
    """Projects the target, times the loss of the sample."""

    def sends(self, signals: LossSignals, index: int) -> Tensor:
        return super().sends(signals, index) * signals.loss.unsqueeze(-1)


class ErrorFromOutput(Targets):
    """Computes the error from output and target, and never looks at the error of the loss."""

    output: Tensor | None = None

    def outcome(self, output: Tensor) -> None:
        self.output = output.softmax(-1)

    def sends(self, signals: LossSignals, index: int) -> Tensor:
        targets = super().sends(signals, index)
        assert self.output is not None
        return targets - self.output * targets.sum(-1, keepdim=True)


class ActivityAbove(Targets):
    """Weighs what it projects by the mean activity of the last hidden layer at the same step of the same sample."""

    mean: Tensor | None = None

    def receive(self, index: int, activity: Tensor) -> Tensor:
        if index == len(self.layers) - 1:
            self.mean = activity.detach().flatten(2).mean(2, keepdim=True)  # (T, B, 1)
        return activity

    def sends(self, signals: LossSignals, index: int) -> Tensor:
        assert self.mean is not None
        return super().sends(signals, index) * torch.exp(self.mean)


OUTPUTS = [ErrorOfOutput, LossOfOutput, ErrorFromOutput, ActivityAbove]
