"""Feedback weights of their own, one tensor for each stage but the first."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from onchip.learning.interfaces import LayerwiseFeedback, Observer
from onchip.nn.graph_builder import SynapticLayer
from onchip.transport import Transported

__all__ = ["CopiedFeedback", "RandomFeedback", "StoredFeedback", "drawn_like", "spread"]


class StoredFeedback(LayerwiseFeedback):
    """Feedback weights B of W's shape that no optimizer trains; a checkpoint keeps them."""

    def __init__(self) -> None:
        super().__init__()
        self._stages: tuple[SynapticLayer, ...] = ()

    @abstractmethod
    def initial(self, weight: Tensor) -> Tensor:
        """B before any training, for a layer with these weights W."""

    def attach(self, stages: Sequence[SynapticLayer]) -> None:
        self._stages = tuple(stages)
        for index, stage in enumerate(stages[1:], start=1):
            self.register_buffer(f"feedback_{index}", self.initial(stage.weight.detach()))

    def weight(self, index: int) -> Tensor:
        return self.get_buffer(f"feedback_{index}")

    def beside(self, index: int) -> Tensor:
        return self.weight(index)


class CopiedFeedback(StoredFeedback):
    """Feedback weights that are a copy of the forward weights at first: B = W_0."""

    def initial(self, weight: Tensor) -> Tensor:
        return weight.clone()

    def tell_initial(self, observer: Observer) -> None:
        for stage in self._stages[1:]:
            observer.transport(stage.name, Transported.whole(stage.weight), initial=True)


class RandomFeedback(StoredFeedback):
    """Feedback weights that are drawn at first, with the spread of the weights that they stand in for."""

    def initial(self, weight: Tensor) -> Tensor:
        return drawn_like(weight)


def drawn_like(weight: Tensor) -> Tensor:
    """Gaussian weights of the same shape and root mean square, from torch's global generator."""
    return torch.randn_like(weight, requires_grad=False) * spread(weight)


def spread(weight: Tensor) -> float:
    """Root mean square of the weights."""
    return weight.square().mean().sqrt().item()
