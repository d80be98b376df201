"""Errors as spikes."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from onchip.errors import RequestError
from onchip.learning.coding.base import ErrorCode
from onchip.nn.spike_train import RandomPhaseTrain, SpikeTrain

__all__ = ["SpikeErrors"]

WATCHED = 64
"""Every so many errors it is looked whether they are clipped."""


@dataclass
class SpikeErrors(ErrorCode):
    """Errors are trains of spikes -1, 0 and 1: two lines, one for each sign.

    An error at the output lies in [-1, 1] once the mean over time steps and samples is undone, as softmax(z) - y
    does; below it, each layer multiplies what arrives by β and sends it as spikes of 1 / β of the worth. A number
    beyond ±1 is clipped, which is said once if it happens often.

    Args:
        gain: β, of each layer below the last, above 0.
        train: how a number becomes spikes.
        trials: for `Rate` neurons: the steps of the train whose count is sent in one step; None for real trains.
        tolerated: share of clipped errors of a layer above which a warning is given, in [0, 1].

    Raises:
        RequestError: a value out of range.

    Reference: Biswas, Saraswat, Ganguly 2023 (SSNN-BP, arXiv 2207.09755).
    """

    pointwise = True

    command: ClassVar[str] = "spikes"

    gain: float = 2.0
    train: SpikeTrain = field(default_factory=RandomPhaseTrain)
    trials: int | None = None
    tolerated: float = 0.05
    _calls: int = field(default=0, init=False, repr=False)
    _warned: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0.0 < self.gain < math.inf:
            raise RequestError(f"Spikes got gain={self.gain}; expected a factor above 0")
        if self.trials is not None and self.trials < 1:
            raise RequestError(f"Spikes got trials={self.trials}; expected at least 1 step")
        if not 0.0 <= self.tolerated <= 1.0:
            raise RequestError(f"Spikes got tolerated={self.tolerated}; expected a share in [0, 1]")

    @property
    def streams(self) -> bool:
        return not self.train.remembers

    @property
    def ternary(self) -> bool:
        return self.trials is None

    def carry(self, delta: Tensor, depth: int) -> Tensor:
        worth = self._worth(delta.shape, depth)
        numbers = delta / worth
        self._look(numbers, depth)
        numbers.clamp_(-1, 1)
        if self.trials is not None:
            return self.train.count(numbers, self.trials).mul_(worth / self.trials)
        return self.train(numbers)[0].mul_(worth)

    def unit(self, shape: torch.Size, depth: int) -> float:
        return self._worth(shape, depth) / (self.trials or 1)

    def _worth(self, shape: torch.Size, depth: int) -> float:
        """What the number 1 is worth in an error (T, B, ...), of a loss that is a mean over T and B."""
        return 1.0 / (shape[0] * shape[1] * self.gain**depth)

    def _look(self, numbers: Tensor, depth: int) -> None:
        self._calls += 1
        if self._warned or self._calls % WATCHED > 1:
            return
        # A little room: at the output 1 is reached, and rounding may pass it.
        share = (numbers.abs() > 1.0 + 1e-4).float().mean().item()
        if share > self.tolerated:
            self._warned = True
            warnings.warn(
                f"{share:.0%} of the errors at depth {depth} below the output are clipped to one spike a step "
                f"(β = {self.gain:g}); use a smaller gain"
                if depth
                else f"{share:.0%} of the output's errors lie beyond ±1 and are clipped; use a mean of softmax "
                "cross-entropies over time steps and samples as loss",
                stacklevel=2,
            )
