"""Test accuracy of each rule against what it costs, and the front that no rule beats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from onchip.report import drawing
from onchip.report.costs import Cost
from onchip.report.drawing import Looks
from onchip.report.summary import Spread, Summary, count, on_front

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RING, WIDER = 7.5, 4.0
"""Points across the ring of a mean, and by how much each ring is wider than one that it would cover."""
WIDE = 30
"""A cost axis is logarithmic where the largest cost is this many times the smallest."""


def worth_drawing(summaries: Sequence[Summary], cost: Cost) -> bool:
    """Whether two rules at least can be compared at this cost, and do not all cost nothing."""
    spreads = [spread for s in summaries if (spread := s.spread(cost.of))]
    return cost.axis is not None and len(spreads) > 1 and any(spread.mean > 0 for spread in spreads)


def pareto(summaries: Sequence[Summary], costs: Sequence[Cost], looks: Looks | None = None) -> Figure:
    """One panel per cost, side by side.

    A ring is the mean over seeds with its standard deviation, dots are the seeds, and a dashed line joins the rules
    of the front. Nothing is moved from its place: a ring around another one is wider.
    """
    shown = [s for s in summaries if s.test is not None and any(s.spread(c.of) for c in costs)]
    looks = looks or Looks.of([summary.label for summary in shown])
    labels = [summary.label for summary in shown] if looks.legend else []
    figure, row = drawing.canvas(labels, columns=len(costs))
    for axes, cost in zip(row, costs, strict=True):
        spreads = [spread for summary in shown if (spread := summary.spread(cost.of))]
        _scale(axes, spreads)
        axes.set_ylim(*_accuracies(shown))
        _marks(axes, shown, cost, looks)
        _front(axes, shown, cost)
        axes.set_xlabel(drawing.verbatim(cost.axis or ""), fontsize=9, parse_math=False)
        drawing.plain(axes)
    row[0].set_ylabel("test accuracy [%]", fontsize=9)
    drawing.legend(figure, _handles(labels, looks), labels)
    return figure


def _marks(axes: Axes, shown: Sequence[Summary], cost: Cost, looks: Looks) -> None:
    """All rules on one panel, accuracy in percent."""
    places: list[tuple[float, float]] = []
    widths: list[int] = []
    for summary in shown:
        runs = [(cost.of(record), record.test_accuracy) for record in summary.good]
        seeds = [(x, 100 * y) for x, y in runs if x is not None and y is not None]
        if not seeds:
            continue
        paid, accuracy = Spread(tuple(x for x, _ in seeds)), Spread(tuple(y for _, y in seeds))
        across, up = axes.transData.transform((paid.mean, accuracy.mean)).tolist()
        place = across, up
        reach = RING * axes.figure.dpi / 72  # pixels; a point is 1/72 of an inch
        taken = [width for width, other in zip(widths, places, strict=True) if math.dist(place, other) < reach]
        width = next(width for width in range(len(shown)) if width not in taken)
        places.append(place)
        widths.append(width)
        style = drawing.mark(looks, summary.label, RING + WIDER * width)
        _, caps, bars = axes.errorbar(paid.mean, accuracy.mean, yerr=accuracy.deviation, capsize=3 + width, **style)
        for line in (*caps, *bars):
            line.set(alpha=0.5, linewidth=0.9)
        axes.scatter(paid.values, accuracy.values, s=9, color=style["color"], alpha=0.8, linewidths=0, zorder=4)


def _front(axes: Axes, summaries: Sequence[Summary], cost: Cost) -> None:
    """Joins the means of the front's rules: what any cost can buy rises in steps."""
    best = [(s.spread(cost.of), s.test) for s in on_front(summaries, cost)]
    points = [(spread.mean, 100 * test.mean) for spread, test in best if spread and test]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    axes.step(xs, ys, where="post", color="#888888", linestyle="--", linewidth=1, zorder=1)


def _scale(axes: Axes, spreads: Sequence[Spread]) -> None:
    """Linear from 0, or logarithmic where costs are far apart: linear again near 0, which some rules cost."""
    paid = [value for spread in spreads for value in spread.values]
    least, most = min((value for value in paid if value > 0), default=1.0), max(paid) or 1.0
    if most < WIDE * least:
        axes.set_xlim(-0.05 * most, 1.1 * most)
    else:
        decade = 10.0 ** math.floor(math.log10(least))
        axes.set_xscale("symlog", linthresh=decade, linscale=0.5)
        axes.set_xlim(-0.3 * decade, 3 * most)
    axes.xaxis.set_major_formatter(lambda value, _: count(value))


def _accuracies(summaries: Sequence[Summary]) -> tuple[float, float]:
    """Lower and upper end of the accuracy axis in percent: all seeds and spreads, and some room."""
    tests = [summary.test for summary in summaries if summary.test is not None]
    ends = [value for test in tests for value in test.values]
    ends += [test.mean + sign * (test.deviation or 0.0) for test in tests for sign in (-1, 1)]
    room = 0.08 * (max(ends) - min(ends)) or 0.01
    return 100 * (min(ends) - room), 100 * (max(ends) + room)


def _handles(labels: Sequence[str], looks: Looks) -> list[Artist]:
    from matplotlib.lines import Line2D

    return [Line2D([], [], **drawing.mark(looks, label, RING)) for label in labels]
