"""What runs that share their seeds say of a difference: Student's paired t.

One seed gives every row of a table the same first weights and the same order of samples, so rows are compared seed by
seed, over n differences d with the standard deviation s:

    interval that holds the true mean in 95% of such experiments:    mean ± t(0.975, n - 1) s / √n
    smallest true difference that is seen with a power of 80%:       (t(0.975, n - 1) + t(0.8, n - 1)) s / √n

"Seen" means that the interval leaves out 0. The second formula is the usual approximation; at n = 3 the power is 77%.

With few seeds s is poorly known. `pooled` estimates it from all rows together, as in a block design (row + seed +
remainder), in which rows need not be independent of the one that they are compared to.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["COVERAGE", "POWER", "Paired", "Pooled", "describe_pooled", "pooled", "t_quantile"]

COVERAGE, POWER = 0.95, 0.8
LEAST_FREEDOM = 5
"""Degrees of freedom below which a pooled variance says no more than that of a single row."""


@dataclass(frozen=True)
class Paired:
    """Differences of one row from another, one for each seed.

    Args:
        differences: The differences, in points.
    """

    differences: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.mean(self.differences)

    @property
    def half_width(self) -> float | None:
        """Half of the interval's width; None with a single seed."""
        error = self._error()
        return None if error is None else t_quantile(0.5 + COVERAGE / 2, len(self.differences) - 1) * error

    @property
    def detectable(self) -> float | None:
        """The smallest true difference that this many seeds would see; None with a single seed."""
        error, freedom = self._error(), len(self.differences) - 1
        return None if error is None else (t_quantile(0.5 + COVERAGE / 2, freedom) + t_quantile(POWER, freedom)) * error

    def cells(self) -> tuple[str, str]:
        """The interval and the smallest difference for a table, with two decimals; - with a single seed."""
        half, seen = self.half_width, self.detectable
        if half is None or seen is None:
            return "-", "-"
        return f"{self.mean - half:+.2f} to {self.mean + half:+.2f}", f"{seen:.2f}"

    def _error(self) -> float | None:
        """The standard error of the mean."""
        n = len(self.differences)
        return statistics.stdev(self.differences) / math.sqrt(n) if n > 1 else None


@dataclass(frozen=True)
class Pooled:
    """The standard deviation of a run about row and seed, from several rows.

    Args:
        deviation: The standard deviation, in points.
        freedom: Its degrees of freedom, (rows - 1) (seeds - 1).
        rows: The number of rows.
        seeds: The number of seeds.
    """

    deviation: float
    freedom: int
    rows: int
    seeds: int

    @property
    def half_width(self) -> float:
        """Half the width of the interval of a difference between two rows."""
        return t_quantile(0.5 + COVERAGE / 2, self.freedom) * self._error

    @property
    def detectable(self) -> float:
        """The smallest true difference between two rows that would be seen with the power."""
        return (t_quantile(0.5 + COVERAGE / 2, self.freedom) + t_quantile(POWER, self.freedom)) * self._error

    @property
    def _error(self) -> float:
        return self.deviation * math.sqrt(2 / self.seeds)


def pooled(rows: Mapping[str, Sequence[float]]) -> Pooled | None:
    """The variance that is left when each run is row + seed + remainder; None with fewer than two rows or seeds.

    Args:
        rows: For each row its results, of the same seeds in the same order.
    """
    table = [list(row) for row in rows.values()]
    if len(table) < 2 or len(table[0]) < 2:
        return None
    seeds = len(table[0])
    of_row = [statistics.mean(row) for row in table]
    of_seed = [statistics.mean(column) for column in zip(*table, strict=True)]
    whole = statistics.mean(of_row)
    left = [value - of_row[i] - of_seed[j] + whole for i, row in enumerate(table) for j, value in enumerate(row)]
    freedom = (len(table) - 1) * (seeds - 1)
    return Pooled(math.sqrt(math.fsum(x * x for x in left) / freedom), freedom, len(table), seeds)


def describe_pooled(found: Pooled | None, of: str = "") -> str:
    """One sentence for the place below a table; empty where there are too few rows for a variance.

    Args:
        found: What the rows have in common.
        of: Which rows these are, such as " of BP".
    """
    if found is None or found.freedom < LEAST_FREEDOM:
        return ""
    return (
        f"The {found.rows} rows{of} with {found.seeds} seeds together: a run deviates by {found.deviation:.2f} points "
        f"from row + seed ({found.freedom} degrees of freedom), so that a difference of two rows is known to "
        f"±{found.half_width:.2f} (95%), and one of {found.detectable:.2f} would be seen with a power of 80%."
    )


def t_quantile(share: float, freedom: int) -> float:
    """Student's t below which a share of the distribution lies.

    Args:
        share: In (0.5, 1).
        freedom: Degrees of freedom, at least 1.

    Example:
        >>> round(t_quantile(0.975, 2), 3)
        4.303
    """
    low, high = 0.0, 1.0
    while _within(high, freedom) < 2 * share - 1:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < 2 * share - 1 else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """Share of the distribution between -t and t.

    Reference: Abramowitz and Stegun 1964 (Handbook of Mathematical Functions), 26.7.3 and 26.7.4.
    """
    angle = math.atan(t / math.sqrt(freedom))
    cos = math.cos(angle)
    odd = freedom % 2
    term, total = cos if odd else 1.0, 0.0
    for k in range(1 + odd, freedom + odd, 2):  # one term for every two degrees of freedom
        total += term
        term *= k / (k + 1) * cos * cos
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total
