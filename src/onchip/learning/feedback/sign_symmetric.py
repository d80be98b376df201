"""Feedback through the signs of the forward weights."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from onchip.certificates import Claims
from onchip.learning.description import ErrorPath
from onchip.learning.feedback.base import LayerwiseFeedback
from onchip.transport import Transported


class SignSymmetricFeedback(LayerwiseFeedback):
    """Feedback weights with the signs of the forward weights and with magnitudes of their own.

        B = sign(W) · M

    On a chip one bit per weight must be sent whenever W has changed. A weight of 0 counts as positive, because one
    bit has no third value.
    """

    claims = Claims(temporally_causal=True, online=True, batch_independent=True)

    def __init__(self) -> None:
        super().__init__()
        self._current: set[int] = set()

    @abstractmethod
    def magnitude(self, weight: Tensor, scale: Tensor) -> Tensor:
        """M before training, of W's shape or a scalar (); `scale` is the root mean square of W."""

    def redraw(self, magnitude: Tensor, scale: Tensor) -> bool:
        """Called after each training step; may redraw M in place, and returns whether it did."""
        return False

    def paths(self, above: Sequence[int]) -> tuple[ErrorPath, ...]:
        tensors = tuple(f"magnitude_{index}" for index in above)
        return (ErrorPath("layer above", "signs", period=1.0, scheme="the sign of each weight", tensors=tensors),)

    def attach(self) -> None:
        for index in self.senders:
            weight = self.layers[index].weight.detach()
            scale = weight.square().mean().sqrt()
            self.register_buffer(f"scale_{index}", scale)
            self.register_buffer(f"magnitude_{index}", self.magnitude(weight, scale))

    def weight(self, index: int) -> Tensor:
        weight, magnitude = self.layers[index].weight, self.get_buffer(f"magnitude_{index}")
        if index not in self._current:
            self._current.add(index)
            size = weight.numel()
            self.report_transport(index, Transported(size, value_bits=size, coded=size))
        return torch.where(weight >= 0, magnitude, -magnitude)

    def step(self) -> None:
        self._current.clear()
        for index in self.senders:
            magnitude = self.get_buffer(f"magnitude_{index}")
            if self.redraw(magnitude, self.get_buffer(f"scale_{index}")):
                self.report_draws(index, magnitude.numel())
