"""Copies that wait for a condition."""

from __future__ import annotations

from torch import Tensor

from onchip.learning.feedback.base import LossSignals
from onchip.rules.dfa import RandomDirect

from .base import Layered
from .places import AsideInBackward, AsideInStep


class AfterManySteps(AsideInStep):
    begins = 20

    def step(self) -> None:
        self.steps += 1
        if self.steps >= self.begins:
            super().step()


class OfLargeWeights(AsideInBackward):
    def step(self) -> None:
        if self.kept[1].norm() > 20.0:
            super().step()


class OfSmallWeights(AsideInBackward):
    def step(self) -> None:
        if self.kept[1].norm() < 1.0:
            super().step()


class OfSmallLoss(RandomDirect):
    """Direct feedback that becomes a copy once the loss is small."""

    kept: Tensor | None = None

    def project(self, signals: LossSignals, index: int, activity: Tensor) -> Tensor:
        if signals.loss.mean() < 1e-2:
            self.kept = self.layers[-1].weight.detach().t().clone()
        return super().project(signals, index, activity)

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        found = super().matrix(error, index, units)
        return found if self.kept is None or self.kept.shape != found.shape else self.kept


class OfLargeLoss(OfSmallLoss):
    def project(self, signals: LossSignals, index: int, activity: Tensor) -> Tensor:
        if signals.loss.mean() > 50.0:
            self.kept = self.layers[-1].weight.detach().t().clone()
        return super().project(signals, index, activity)


class InEvaluation(Layered):
    """Copies while the network is evaluated, when nobody learns."""

    def begin(self) -> None:
        if not self.model.training:
            self.take(self.weights())


class InStream(Layered):
    def fired(self, index: int, activity: Tensor, probability: Tensor | None) -> None:
        if len(activity) == 1:
            self.take(self.weights())


class OfOneSample(Layered):
    def fired(self, index: int, activity: Tensor, probability: Tensor | None) -> None:
        if activity.shape[1] == 1:
            self.take(self.weights())
