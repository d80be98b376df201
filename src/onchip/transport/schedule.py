"""When feedback is refreshed."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from onchip.errors import RequestError
from onchip.transport import Transport
from onchip.transport.base import planned_bits

__all__ = ["Balanced", "Doubling", "Schedule"]


class Schedule(ABC):
    """Says after which training steps weights are transported. It keeps no state of its own."""

    @abstractmethod
    def layers(self, weights: Sequence[Tensor], transport: Transport) -> list[Doubling]:
        """The intervals of each layer.

        Args:
            weights: W of each layer that has feedback.
            transport: what each message will hold.

        Raises:
            RequestError: a schedule that must know the messages' sizes, of a transport that does not.
        """


@dataclass(frozen=True)
class Doubling(Schedule):
    """Transports that come densely at first: each interval is twice the one before, up to the longest.

    Args:
        longest: interval that is never exceeded, in training steps, at least 1.
        first: the first interval, in training steps, from 1 to `longest`.

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
        if self.longest < 1:
            raise RequestError(f"Doubling got longest={self.longest}; expected at least 1 training step")
        if not 1 <= self.first <= self.longest:
            raise RequestError(
                f"Doubling got first={self.first}; expected 1 to {self.longest} training steps, the longest interval"
            )

    def due(self, step: int) -> bool:
        """Whether a transport follows training step `step`, counted from 1."""
        interval, event = self.first, self.first
        while event < step and interval < self.longest:
            interval = min(2 * interval, self.longest)
            event += interval
        return step >= event and (step - event) % interval == 0

    def layers(self, weights: Sequence[Tensor], transport: Transport) -> list[Doubling]:
        return [self] * len(weights)


@dataclass(frozen=True)
class Balanced(Schedule):
    """A constant period for each layer, short for small layers, at no more bits a step than one period for all.

        Φ_l = Φ √n_l Σ_k √n_k / Σ_k n_k,   n_l the bits of one message of layer l

    These periods make the sum of the layers' waits least under Σ n_l / Φ_l = Σ n_l / Φ. They are rounded, from
    the smallest layer to the largest, which gets what the others left and is rounded up. A network's largest
    layer often holds nearly all of its weights; the others can then be refreshed many times more often for
    a few percent of the bits.

    Args:
        period: Φ, training steps, at least 1: the period that costs as many bits when all layers share it.

    Raises:
        RequestError: a period out of range.

    Example:
        >>> Balanced(100).periods([4_000, 200_000, 1_000])
        [17, 119, 8]

    Reference: ours; square-root allocation, as of samples to strata (Neyman 1934, J. R. Stat. Soc. 97).
    """

    period: float = 100

    def __post_init__(self) -> None:
        if not (self.period >= 1 and math.isfinite(self.period)):
            raise RequestError(f"Balanced got period={self.period}; expected at least 1 training step")

    def layers(self, weights: Sequence[Tensor], transport: Transport) -> list[Doubling]:
        periods = self.periods(planned_bits(transport, weights))
        return [Doubling(longest=period, first=period) for period in periods]

    def periods(self, bits: Sequence[int]) -> list[int]:
        """Φ_l of layers whose messages have so many bits."""
        left = sum(bits) / self.period  # bits a step
        roots = sum(math.sqrt(size) for size in bits)
        periods = [1] * len(bits)
        smallest_first = sorted(range(len(bits)), key=lambda layer: bits[layer])
        for layer in smallest_first:
            wish = math.sqrt(bits[layer]) * roots / left
            # A part in a billion is the rounding of these very sums.
            periods[layer] = max(1, math.ceil(wish * (1 - 1e-9)) if layer == smallest_first[-1] else round(wish))
            left -= bits[layer] / periods[layer]
            roots -= math.sqrt(bits[layer])
        return periods
