"""Test accuracy of each rule against what it costs, and the front that no rule beats."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from onchip.report import drawing
from onchip.report.costs import Cost
from onchip.report.summary import Spread, Summary, count, on_front

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform

APART = 5
"""Points between the marks of two rules that stand at the same place, so that both are seen."""
WIDE = 30
"""A cost axis is logarithmic where the largest cost is this many times the smallest."""


def worth_drawing(summaries: Sequence[Summary], cost: Cost) -> bool:
    """Whether two rules at least can be compared at this cost, and do not all cost nothing."""
    spreads = [spread for s in summaries if (spread := s.spread(cost.of))]
    return cost.axis is not None and len(spreads) > 1 and any(spread.mean > 0 for spread in spreads)


def pareto(summaries: Sequence[Summary], costs: Sequence[Cost]) -> Figure:
    """One panel per cost, side by side.

    A large mark is the mean over seeds with its standard deviation, small ones are the seeds. Rules of equal cost
    are drawn side by side. A dashed line joins the rules of the front.
    """
    shown = {i: s for i, s in enumerate(summaries) if s.test is not None and any(s.spread(c.of) for c in costs)}
    labels = [summary.label for summary in shown.values()]
    figure, row = drawing.canvas(labels, columns=len(costs))
    for axes, cost in zip(row, costs, strict=True):
        spreads = {index: spread for index, summary in shown.items() if (spread := summary.spread(cost.of))}
        for index in spreads:
            _mark(axes, _aside(figure, axes, spreads, index), shown[index], cost, index)
        _front(axes, list(shown.values()), cost)
        _scale(axes, list(spreads.values()))
        axes.set_xlabel(drawing.verbatim(cost.axis or ""), fontsize=9, parse_math=False)
        axes.set_ylim(*_accuracies(list(shown.values())))
        drawing.plain(axes)
    row[0].set_ylabel("test accuracy [%]", fontsize=9)
    drawing.legend(figure, _handles(shown), labels)
    return figure


def _mark(axes: Axes, place: Transform, summary: Summary, cost: Cost, index: int) -> None:
    """One rule on one panel, accuracy in percent."""
    runs = [(cost.of(record), record.test_accuracy) for record in summary.good]
    seeds = [(x, 100 * y) for x, y in runs if x is not None and y is not None]
    if not seeds:
        return
    color, marker = drawing.color(index), drawing.marker(index)
    paid, accuracy = Spread(tuple(x for x, _ in seeds)), Spread(tuple(y for _, y in seeds))
    if len(seeds) > 1:
        axes.scatter(paid.values, accuracy.values, s=14, c=color, marker=marker, alpha=0.35, lw=0, transform=place)
    style: dict[str, Any] = {"color": color, "marker": marker, "markersize": 7, "linestyle": "none"}
    axes.errorbar(paid.mean, accuracy.mean, yerr=accuracy.deviation, capsize=3, transform=place, zorder=3, **style)


def _front(axes: Axes, summaries: Sequence[Summary], cost: Cost) -> None:
    """Joins the means of the front's rules: what any cost can buy rises in steps."""
    best = [(s.spread(cost.of), s.test) for s in on_front(summaries, cost)]
    points = [(spread.mean, 100 * test.mean) for spread, test in best if spread and test]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    axes.step(xs, ys, where="post", color="#888888", linestyle="--", linewidth=1, zorder=1)


def _aside(figure: Figure, axes: Axes, spreads: Mapping[int, Spread], index: int) -> Transform:
    """Where a rule is drawn: beside its place, if others cost the same."""
    from matplotlib.transforms import ScaledTranslation

    equal = [other for other, spread in spreads.items() if spread.mean == spreads[index].mean]
    points = APART * (equal.index(index) - (len(equal) - 1) / 2)
    return axes.transData + ScaledTranslation(points / 72, 0, figure.dpi_scale_trans)  # 72 points an inch


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


def _handles(rules: Iterable[int]) -> list[Artist]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=drawing.color(i), marker=drawing.marker(i), markersize=6, linestyle="none") for i in rules
    ]
