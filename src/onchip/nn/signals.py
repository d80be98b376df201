"""What travels between layers: spike trains over time, spike times, or one image held still."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from onchip.errors import RequestError

__all__ = ["Kind", "Signal", "Static"]

Kind = Literal["steps", "streams", "times"]
"""`steps`: a tensor (T, B, features...) of activity at each time step. `streams`: the same, of spikes 0 and 1 alone,
whose mean over time is the number that they stand for. `times`: a tensor (B, features...) of spike times in
[0, 1], inf where a neuron stays silent."""


@dataclass(frozen=True)
class Static:
    """One image shown unchanged for a number of time steps (constant current).

    Being a type of its own, it lets the first layer multiply once instead of `steps` times.

    Args:
        image: (B, features...), the current at every step.
        steps: number of time steps T, at least 1.
    """

    image: Tensor
    steps: int

    def __post_init__(self) -> None:
        if not isinstance(self.steps, int) or self.steps < 1:
            raise RequestError(f"Static got steps={self.steps}; expected a whole number of time steps, at least 1")

    def expand(self) -> Tensor:
        """The same signal written out: (T, B, features...), without a copy."""
        return self.image.expand(self.steps, *self.image.shape)


Signal = Tensor | Static
"""What a network takes: a tensor of either kind, or a `Static` image."""
