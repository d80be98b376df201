"""When feedback is refreshed."""

from __future__ import annotations

from dataclasses import dataclass

from onchip.errors import RequestError

__all__ = ["Doubling"]


@dataclass(frozen=True)
class Doubling:
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
