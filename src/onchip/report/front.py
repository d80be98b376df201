"""The Pareto front: what nothing else beats."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["front"]


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points that no other dominates, by rising cost; equal points stand or fall together.

    A point dominates another when its cost is no higher and its value no lower, and one of the two is better.

    Args:
        points: (cost, value) each; low cost and high value are good.

    Example:
        >>> front([(5, 0.9), (1, 0.8), (3, 0.7)])  # the third costs more than the second, for less
        [1, 0]
    """
    best = float("-inf")
    found: list[int] = []
    for index in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        if points[index][1] > best or (found and points[index] == points[found[-1]]):
            best = points[index][1]
            found.append(index)
    return found
