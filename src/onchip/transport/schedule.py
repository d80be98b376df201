"""After which training steps the feedback weights are refreshed."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from onchip._types import checked
from onchip.errors import require
from onchip.transport import Transport
from onchip.transport.base import planned_bits


class Schedule(ABC):
    """Determines after which training steps weights are transported. It has no state."""

    @abstractmethod
    def layers(self, weights: Sequence[Tensor], transport: Transport) -> list[Doubling]:
        """Intervals of each layer.

        Args:
            weights: Forward weights W of each layer that has feedback weights.
            transport: The transport that determines the size of the messages.

        Raises:
            RequestError: the schedule needs the sizes of the messages, and the transport does not know them in advance.
        """


@checked
@dataclass(frozen=True)
class Doubling(Schedule):
    """Frequent transports at first: each interval is twice the one before, up to the longest.

    Args:
        longest: Upper bound of the intervals, in training steps, at least 1.
        first: First interval, in training steps, from 1 to `longest`.

    Raises:
        RequestError: an interval out of range.

    Example:
        >>> schedule = Doubling(longest=5)
        >>> [step for step in range(1, 20) if schedule.due(step)]
        [1, 3, 7, 12, 17]
    """

    longest: int = 100
    first: int = 1

    def __post_init__(self) -> None:
        require(self.longest >= 1, self, "longest", self.longest, "at least 1 training step")
        expected = f"1 to {self.longest} training steps, the longest interval"
        require(1 <= self.first <= self.longest, self, "first", self.first, expected)

    def due(self, step: int) -> bool:
        """Whether a transport follows training step `step`, counted from 1."""
        interval, event = self.first, self.first
        while event < step and interval < self.longest:
            interval = min(2 * interval, self.longest)
            event += interval
        return step >= event and (step - event) % interval == 0

    def layers(self, weights: Sequence[Tensor], transport: Transport) -> list[Doubling]:
        return [self] * len(weights)


@checked
@dataclass(frozen=True)
class Balanced(Schedule):
    """A constant period per layer, shorter for small layers, with no more bits per step than one period for all.

        Φ_l = Φ √n_l Σ_k √n_k / Σ_k n_k,   n_l: bits of one message of layer l

    These periods minimize Σ Φ_l under Σ n_l / Φ_l = Σ n_l / Φ. They are rounded, from the smallest layer to the
    largest, which gets the bits that the others leave and whose period is rounded up. The largest layer of a network
    often has nearly all of its weights; the others can then be refreshed many times more often for a few percent of
    the bits.

    Args:
        period: Period Φ that costs as many bits if all layers share it, in training steps, at least 1.

    Raises:
        RequestError: the period is out of range.

    Example:
        >>> Balanced(100).periods([4_000, 200_000, 1_000])
        [17, 119, 8]

    Reference: ours; square-root allocation, as of samples to strata (Neyman 1934, J. R. Stat. Soc. 97).
    """

    period: float = 100

    def __post_init__(self) -> None:
        valid = self.period >= 1 and math.isfinite(self.period)
        require(valid, self, "period", self.period, "at least 1 training step")

    def layers(self, weights: Sequence[Tensor], transport: Transport) -> list[Doubling]:
        periods = self.periods(planned_bits(transport, weights))
        return [Doubling(longest=period, first=period) for period in periods]

    def periods(self, bits: Sequence[int]) -> list[int]:
        """Period Φ_l of each layer, given the bits of its messages."""
        left = sum(bits) / self.period  # bits per step
        roots = sum(math.sqrt(size) for size in bits)
        periods = [1] * len(bits)
        smallest_first = sorted(range(len(bits)), key=lambda layer: bits[layer])
        for layer in smallest_first:
            exact = math.sqrt(bits[layer]) * roots / left
            # The factor 1 - 1e-9 allows for the rounding errors of these sums.
            periods[layer] = max(1, math.ceil(exact * (1 - 1e-9)) if layer == smallest_first[-1] else round(exact))
            left -= bits[layer] / periods[layer]
            roots -= math.sqrt(bits[layer])
        return periods
