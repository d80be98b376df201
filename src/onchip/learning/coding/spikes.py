"""Errors as spikes."""

import math
import warnings
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from onchip.errors import RequestError
from onchip.learning.coding.base import ErrorCode
from onchip.nn.spike_train import RandomPhaseTrain, SpikeTrain

CHECK_EVERY = 64  # errors between two checks of how many are clipped


@dataclass
class SpikeErrors(ErrorCode):
    """Errors are trains of spikes -1, 0 and 1, on one line per sign.

    An error at the output lies in [-1, 1] once the mean over time steps and samples is undone, as softmax(z) - y
    does; below it, each layer multiplies incoming errors by β and sends spikes of 1 / β of the value. Numbers
    beyond ±1 are clipped, with one warning if that is frequent.

    Args:
        gain: β, factor per layer below the last, above 0.
        train: Conversion of a number into spikes.
        trials: Time steps of the train whose count `Rate` neurons send in one step; None for real trains.
        tolerated: Share of clipped errors in a layer above which it warns, in [0, 1].

    Raises:
        RequestError: A value is out of range.

    Reference: Biswas, Saraswat, Ganguly 2023 (SSNN-BP, arXiv 2207.09755).
    """

    carries = "spikes"
    pointwise = True

    command: ClassVar[str] = "spikes"

    gain: float = 2.0
    train: SpikeTrain = field(default_factory=RandomPhaseTrain)
    trials: int | None = None
    tolerated: float = 0.05
    _calls: int = field(default=0, init=False, repr=False)
    _warned: bool = field(default=False, init=False, repr=False)
    _rows: float | None = field(default=None, init=False, repr=False)
    _share_of_loss: float = field(default=1.0, init=False, repr=False)

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

    def mean_over(self, present: Tensor | None, share: float = 1.0) -> None:
        self._rows, self._share_of_loss = None if present is None else int(present.sum()), share
        if self._rows is not None and self.ranks.size > 1:  # a process without samples has neither
            sums = torch.tensor([self._rows, share], dtype=torch.float64)
            self.ranks.sum_(sums)
            self._rows, self._share_of_loss = sums.tolist()

    def carry(self, delta: Tensor, depth: int) -> Tensor:
        size = self._size(delta.shape, depth)
        numbers = delta / size
        self._check_clipping(numbers, depth)
        numbers.clamp_(-1, 1)
        if self.trials is not None:
            return self.train.count(numbers, self.trials).mul_(size / self.trials)
        return self.train(numbers)[0].mul_(size)

    def unit(self, shape: torch.Size, depth: int) -> float:
        return self._size(shape, depth) / (self.trials or 1)

    def _size(self, shape: torch.Size, depth: int) -> float:
        """Error (T, B, ...) that the number 1 represents, for a loss that is a mean over steps and samples."""
        rows = (self._rows or max(shape[0] * shape[1], 1)) / (self._share_of_loss or 1.0)  # of the whole mean
        return 1.0 / (rows * self.gain**depth)

    def _check_clipping(self, numbers: Tensor, depth: int) -> None:
        self._calls += 1
        if self._warned or self._calls % CHECK_EVERY > 1:
            return
        # With a small margin, because the output's errors reach 1 and rounding may exceed it.
        share = (numbers.abs() > 1.0 + 1e-4).float().mean().item()
        if share > self.tolerated:
            self._warned = True
            warnings.warn(
                f"{share:.0%} of the errors at depth {depth} below the output are clipped to one spike per step "
                f"(β = {self.gain:g}); use a smaller gain"
                if depth
                else f"{share:.0%} of the output's errors lie beyond ±1 and are clipped; use a mean of softmax "
                "cross-entropies over time steps and samples as loss",
                stacklevel=2,
            )
