"""Feedback through stored weights, one tensor for each layer but the first."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from onchip.certificates import Claims
from onchip.learning.description import ErrorPath
from onchip.learning.feedback.base import LayerwiseFeedback
from onchip.learning.observers import Observer
from onchip.transport import Transported


class StoredFeedback(LayerwiseFeedback):
    """Feedback weights B of W's shape, which no optimizer trains and a checkpoint stores."""

    claims = Claims(
        separate_feedback=True, no_weight_transport=True, temporally_causal=True, online=True, batch_independent=True
    )

    @abstractmethod
    def initial(self, weight: Tensor) -> Tensor:
        """B before training, for a layer with the weights W."""

    def paths(self, above: Sequence[int]) -> tuple[ErrorPath, ...]:
        return (ErrorPath("layer above", "fixed weights", tensors=tuple(f"feedback_{index}" for index in above)),)

    def attach(self) -> None:
        for index in self.senders:
            self.register_buffer(f"feedback_{index}", self.initial(self.layers[index].weight.detach()))

    def weight(self, index: int) -> Tensor:
        return self.get_buffer(f"feedback_{index}")

    def stored_weight(self, index: int) -> Tensor:
        return self.weight(index)


class CopiedFeedback(StoredFeedback):
    """Feedback weights that start as a copy of the forward weights: B = W_0."""

    def paths(self, above: Sequence[int]) -> tuple[ErrorPath, ...]:
        return tuple(replace(path, copied=True) for path in super().paths(above))

    def initial(self, weight: Tensor) -> Tensor:
        return weight.clone()

    def report_initial(self, observer: Observer) -> None:
        for index in self.senders:
            layer = self.layers[index]
            observer.transport(layer.name, Transported.whole(layer.weight), initial=True)


class RandomFeedback(StoredFeedback):
    """Feedback weights that start as random numbers with the root mean square of the forward weights."""

    def initial(self, weight: Tensor) -> Tensor:
        return drawn_like(weight)


def drawn_like(weight: Tensor) -> Tensor:
    """Gaussian weights of the same shape and root mean square, from torch's global generator."""
    return torch.randn_like(weight, requires_grad=False) * spread(weight)


def spread(weight: Tensor) -> float:
    """Root mean square of the weights."""
    return weight.square().mean().sqrt().item()
