"""Accuracy of every rule against what it pays, with names beside the marks and the front that no rule beats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from _all_rules_rows import Result, mean_cost
from onchip.report.costs import Cost
from onchip.report.drawing import canvas, content, plain
from onchip.report.summary import count, on_front

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

# Colors that color-blind readers can tell apart (Okabe & Ito 2008), darker, for letters; markers repeat them.
KINDS: tuple[tuple[str, str, str], ...] = (
    ("copies weights", "#B34700", "s"),
    ("no copy; errors pass from layer to layer", "#00599C", "o"),
    ("no copy; the output's error directly to each layer", "#00734F", "D"),
    ("no copy; targets or local read-outs, not the output's error", "#8A2F78", "^"),
)
WIDTH, HEIGHT, LETTERS = 4.9, 4.8, 8.0
TICKS = (20, 30, 40, 50, 60, 70, 75, 80, 82, 84, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95)


def kind_of(result: Result) -> int:
    """The place of a rule in `KINDS`."""
    return next((i for i, need in enumerate(("transport", "backward", "output error")) if need in result.needs), 3)


def pareto(found: Sequence[Result], costs: Sequence[Cost]) -> tuple[Figure, list[list[Text]]]:
    """One panel per cost; and the names in each panel.

    The accuracy axis is logarithmic in the error, which spreads rules that are close to the best.
    """
    figure, row = canvas(["a line of the legend"] * 15, columns=len(costs), width=WIDTH, height=HEIGHT)
    # The names are placed by their extents, which depend on the resolution.
    figure.set_dpi(150)
    written = []
    for axes, cost in zip(row, costs, strict=True):
        _scale(axes, found, cost)
        points = [(mean_cost(result, cost), result.mean) for result in found]
        for result, point in zip(found, points, strict=True):
            _, color, marker = KINDS[kind_of(result)]
            face = "white" if result.spiking else color
            deviation = result.summary.test
            spread = None if deviation is None or deviation.deviation is None else 100 * deviation.deviation
            style: dict[str, Any] = {"color": color, "markerfacecolor": face, "ecolor": color, "elinewidth": 0.8}
            axes.errorbar(*point, yerr=spread, fmt=marker, markersize=5, zorder=3, **style)
        best = [(mean_cost_of(found, s.label, cost), 100 * s.test.mean) for s in fronts(found, cost) if s.test]
        axes.step(*zip(*best, strict=True), where="post", color="#777777", linestyle="--", linewidth=1, zorder=1)
        energy = "energy per training sample [µJ]: arithmetic and memory"
        axes.set_xlabel(energy if cost.table else cost.axis or "", fontsize=9)
        plain(axes)
        written.append(_names(figure, axes, found, points, best))
    row[0].set_ylabel("test accuracy [%]", fontsize=9)
    _legend(figure)
    return figure, written


def fronts(found: Sequence[Result], cost: Cost) -> list[Any]:
    """The rules that no other beats in mean accuracy at no higher mean cost, by rising cost."""
    return on_front([result.summary for result in found], cost)


def mean_cost_of(found: Sequence[Result], label: str, cost: Cost) -> float:
    """The mean cost of the rule with that label."""
    return mean_cost(next(result for result in found if result.label == label), cost)


def svg(found: Sequence[Result], costs: Sequence[Cost]) -> bytes:
    """The figure as a file's content, on white, so that it is read on any page."""
    return content(pareto(found, costs)[0], "svg")


def _scale(axes: Axes, found: Sequence[Result], cost: Cost) -> None:
    """Scales and limits with room for names to the right."""
    lows, highs = [min(result.test) for result in found], [max(result.test) for result in found]
    bottom, top = 100 - 1.12 * (100 - min(lows)), 100 - 0.94 * (100 - max(highs))
    axes.set_yscale("function", functions=(lambda y: -_log(100 - y), lambda v: 100 - _exp(-v)))
    axes.set_ylim(bottom, top)
    axes.set_yticks([tick for tick in TICKS if bottom <= tick <= top])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.minorticks_off()
    paid = [mean_cost(result, cost) for result in found]
    if min(paid) == 0:
        least = 10 ** math.floor(math.log10(min(value for value in paid if value > 0)))
        axes.set_xscale("symlog", linthresh=least, linscale=1.0)
        axes.set_xlim(-0.15 * least, 12 * max(paid))
        axes.set_xticks([0, *(least * 10**i for i in range(round(math.log10(max(paid) / least)) + 2))])
    else:
        room = max(paid) - min(paid)
        axes.set_xlim(min(paid) - 0.12 * room, max(paid) + 0.3 * room)
    axes.xaxis.set_major_formatter(lambda value, _: count(value))


def _log(values: Any) -> Any:
    import numpy as np

    return np.log(np.maximum(values, 1e-3))


def _exp(values: Any) -> Any:
    import numpy as np

    return np.exp(values)


def _names(
    figure: Figure, axes: Axes, found: Sequence[Result], points: Sequence[Any], steps: Sequence[Any]
) -> list[Text]:
    """Writes each name at the nearest free place, from the top down, with a line to its mark."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    pixels = [tuple(axes.transData.transform(point).tolist()) for point in points]
    frame = axes.get_window_extent(renderer)
    front = axes.transData.transform(steps).tolist()
    unit = LETTERS * figure.dpi / 72  # pixels of a letter's height
    taken = [(x - 0.45 * unit, y - 0.45 * unit, x + 0.45 * unit, y + 0.45 * unit) for x, y in pixels]
    # The front's steps: to the right, then up.
    barred = [(x, y - 1, after, y + 1) for (x, y), (after, _) in pairwise(front)]
    barred += [(x - 1, y, x + 1, above) for (_, y), (x, above) in pairwise(front)]
    lines: list[tuple[tuple[float, float], tuple[float, float]]] = []
    texts = {}
    for i in sorted(range(len(found)), key=lambda i: -pixels[i][1]):
        x, y = pixels[i]
        color = KINDS[kind_of(found[i])][1]
        text = axes.text(0, 0, name(found[i]), fontsize=LETTERS, va="center", ha="left", zorder=5, color=color)
        box = text.get_window_extent(renderer)
        spots = [
            (left, low, left + box.width, low + box.height)
            for left in places(x, box.width, unit)
            for low in (y + (step / 4 - 0.5) * box.height for step in range(-48, 49))
        ]
        joined = [((x, y), (spot[0] if spot[0] > x else spot[2], (spot[1] + spot[3]) / 2)) for spot in spots]
        best = math.inf
        for line, spot in sorted(zip(joined, spots, strict=True), key=lambda pair: math.dist(*pair[0])):
            if math.dist(*line) >= best:
                break
            inside = frame.x0 < spot[0] and spot[2] < frame.x1 + unit and frame.y0 < spot[1] and spot[3] < frame.y1
            if not inside or any(_overlap(spot, other) for other in (*taken, *barred)):
                continue
            crossed = sum(_cross(line, other) for other in lines) + sum(_through(line, other) for other in taken)
            cost = math.dist(*line) + 6 * unit * crossed
            if cost < best:
                best, chosen, joint = cost, spot, line
        assert best < math.inf, f"no place for the name {found[i].label}; make the figure larger"
        taken.append(chosen)
        lines.append(joint)
        back = axes.transData.inverted()
        text.set_position(back.transform((chosen[0], (chosen[1] + chosen[3]) / 2)).tolist())
        if math.dist(*joint) > unit:
            axes.plot(*back.transform(joint).T.tolist(), color=color, alpha=0.5, linewidth=0.6, zorder=2)
        texts[i] = text
    return [texts[i] for i in range(len(found))]


def name(result: Result) -> str:
    """A rule beside its mark, which is hollow if its neurons are stochastic."""
    return "bp (stochastic)" if result.spiking and result.rule == "bp" else result.rule.replace("_", "-")


def places(x: float, wide: float, unit: float) -> list[float]:
    """Left ends of a name near a mark at x: beside it on both sides, and farther to the right."""
    return [x + 0.8 * unit, x - 0.8 * unit - wide, *(x + far * unit for far in (2, 4, 7, 10, 13, 16))]


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _cross(a: tuple[Any, Any], b: tuple[Any, Any]) -> bool:
    """Whether two lines cross."""

    def side(p: Any, q: Any, r: Any) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(*a, b[0]) * side(*a, b[1]) < 0 and side(*b, a[0]) * side(*b, a[1]) < 0


def _through(line: tuple[Any, Any], box: tuple[float, ...]) -> bool:
    """Whether a line passes through a box; its own mark is at its beginning, which does not count."""
    (x0, y0), (x1, y1) = line
    return any(
        box[0] < x0 + t * (x1 - x0) < box[2] and box[1] < y0 + t * (y1 - y0) < box[3]
        for t in (0.25, 0.4, 0.55, 0.7, 0.85)
    )


def _legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    style: dict[str, Any] = {"linestyle": "none", "markersize": 6}
    marks = [Line2D([], [], color=color, marker=marker, **style) for _, color, marker in KINDS]
    hollow = Line2D([], [], color="#555555", markerfacecolor="white", marker="o", **style)
    front = Line2D([], [], color="#777777", linestyle="--", linewidth=1)
    names = [*(name for name, _, _ in KINDS), "hollow: stochastic neurons", "front: no rule is better for less"]
    figure.legend([*marks, hollow, front], names, loc="lower center", ncols=2, fontsize=8.5, frameon=False)
