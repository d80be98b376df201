"""Means and spreads over the seeds of one rule, taken from the records alone."""

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onchip.report.costs import Cost
from onchip.runs.record import Record


@dataclass(frozen=True)
class Spread:
    """Values of several seeds.

    Args:
        values: one per seed, in the order in which the runs finished; at least one.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation over seeds (n - 1); None for a single seed."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def text(self, style: str = ".2f") -> str:
        """The mean in a style of Python's own, with the standard deviation if there is one."""
        deviation = "" if self.deviation is None else f" ± {self.deviation:.2f}"
        return f"{self.mean:{style}}{deviation}"


@dataclass(frozen=True)
class Summary:
    """One rule over its seeds.

    Args:
        label: the rule as the user named it; with all of its options where that would name two different rules.
        runs: the runs that finished, well or not.
    """

    label: str
    runs: tuple[Record, ...]

    @property
    def good(self) -> tuple[Record, ...]:
        """The runs that succeeded."""
        return tuple(record for record in self.runs if record.status == "ok")

    @property
    def seeds(self) -> str:
        """How many runs succeeded, and of how many where some failed."""
        runs, good = len(self.runs), len(self.good)
        return str(runs) if good == runs else f"{good} of {runs}"

    @property
    def test(self) -> Spread | None:
        """Test accuracy in [0, 1]."""
        return self.spread(lambda record: record.test_accuracy)

    def spread(self, of: Callable[[Record], float | None]) -> Spread | None:
        """A number of the runs that succeeded, of those that have it; None if none has."""
        values = tuple(value for value in map(of, self.good) if value is not None)
        return Spread(values) if values else None


def summarize(records: Sequence[Record]) -> list[Summary]:
    """One summary per rule, in the order in which the rules first appear.

    Rules are one only if all of their options are, the defaults too, which may differ between versions.
    """
    rules: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        rules.setdefault((record.title, _options(record)), []).append(record)
    labels = [label for label, _ in rules]
    return [
        Summary(label if labels.count(label) == 1 else f"{label} {options}", tuple(runs))
        for (label, options), runs in rules.items()
    ]


def on_front(summaries: Sequence[Summary], cost: Cost) -> list[Summary]:
    """The rules that no other beats in mean test accuracy at no higher mean cost, by rising cost."""
    placed = [(s, spread.mean, s.test.mean) for s in summaries if (spread := s.spread(cost.of)) and s.test]
    return [placed[index][0] for index in front([(paid, value) for _, paid, value in placed])]


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


def title(records: Sequence[Record]) -> str:
    """What the runs have in common: data and sizes, network, neuron, encoder, time steps, epochs."""
    first = records[0]
    sizes = f"{first.train_size:,} training, {first.validation_size:,} validation, {first.test_size:,} test samples"
    steps = "" if first.steps is None else f"T = {first.steps}, "
    return (
        f"{first.data} ({sizes}), {first.network} of {first.neuron} neurons, {first.encoder} input, "
        f"{steps}{first.epochs} {'epoch' if first.epochs == 1 else 'epochs'}"
    )


def count(value: float) -> str:
    """A count to four digits, with k, M, G for thousands, millions, 10^9.

    Example:
        >>> count(0), count(18496), count(1234567)
        ('0', '18.5k', '1.235M')
    """
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit * 0.99995:  # rounds to 1.000 of this unit
            return f"{value / unit:.4g}{name}"
    return f"{value:.4g}"


def _options(record: Record) -> str:
    """A rule's options as text. Those that are None are left out: an older version may not have known them."""
    return json.dumps({name: value for name, value in record.options.items() if value is not None}, sort_keys=True)
