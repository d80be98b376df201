"""Errors through the signs of the forward weights."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from onchip.learning.interfaces import LayerwiseFeedback
from onchip.nn.graph_builder import SynapticLayer
from onchip.transport import Transported

__all__ = ["SignSymmetricFeedback"]


class SignSymmetricFeedback(LayerwiseFeedback):
    """Feedback weights that have the forward weights' signs, and magnitudes of their own.

        B = sign(W) · M

    On a chip one bit a weight must be sent whenever W has changed. A weight of 0 counts as positive: one
    bit has no third value.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stages: tuple[SynapticLayer, ...] = ()
        self._current: set[int] = set()

    @abstractmethod
    def magnitude(self, weight: Tensor, scale: Tensor) -> Tensor:
        """M before any training: of the weights' shape, or one number () for all; `scale` is their spread."""

    @abstractmethod
    def redraw(self, magnitude: Tensor, scale: Tensor) -> bool:
        """Called after each training step, to draw M anew in place; whether it was."""

    def attach(self, stages: Sequence[SynapticLayer]) -> None:
        self._stages = tuple(stages)
        for index, stage in enumerate(stages[1:], start=1):
            weight = stage.weight.detach()
            scale = weight.square().mean().sqrt()
            self.register_buffer(f"scale_{index}", scale)
            self.register_buffer(f"magnitude_{index}", self.magnitude(weight, scale))

    def weight(self, index: int) -> Tensor:
        stage, magnitude = self._stages[index], self.get_buffer(f"magnitude_{index}")
        if index not in self._current:
            self._current.add(index)
            size = stage.weight.numel()
            self.tell_transport(stage, Transported(size, value_bits=size, coded=size))
        return torch.where(stage.weight >= 0, magnitude, -magnitude)

    def step(self) -> None:
        self._current.clear()
        for index, stage in enumerate(self._stages[1:], start=1):
            magnitude = self.get_buffer(f"magnitude_{index}")
            if self.redraw(magnitude, self.get_buffer(f"scale_{index}")):
                self.tell_draws(stage, magnitude.numel())
