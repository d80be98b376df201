"""The figure of a comparison: accuracy against what a rule moves, and against what it multiplies."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from onchip.records import Record
from onchip.summary import Spread, Summary, count, summarise, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform

__all__ = ["figure"]

# Okabe & Ito, "Color universal design", 2008: tells apart for colour-blind readers; markers repeat it.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX*<>hp"
APART = 5
"""Points between the marks of two rules that stand at the same place, so that both are seen."""
KEY = "large: mean and standard deviation over seeds, small: one seed; rules of equal cost are drawn side by side"


def figure(records: Sequence[Record], kind: Literal["svg", "png"]) -> bytes | None:
    """Test accuracy of each rule, beside its traffic and its arithmetic; None if no run succeeded.

    A large mark is the mean over seeds with its standard deviation, small ones are the seeds. The
    first axis is linear below one weight a step, so that a rule that moves nothing stands at 0.
    """
    from matplotlib.figure import Figure as Canvas  # half a second: only when a figure is wanted
    from matplotlib.transforms import ScaledTranslation

    good = [record for record in records if record.status == "ok"]
    summaries = summarise(good)
    if not summaries:
        return None
    drawing = Canvas(figsize=(10, 4.6), layout="constrained")
    left, right = drawing.subplots(1, 2, sharey=True)
    for axes, costs in ((left, [s.transported for s in summaries]), (right, [_products(s) for s in summaries])):
        for index, summary in enumerate(summaries):
            points = APART * _rank(costs, index)
            aside = ScaledTranslation(points / 72, 0, drawing.dpi_scale_trans)  # 72 points an inch
            _mark(axes, axes.transData + aside, summary, costs[index], index)
    left.set_xscale("symlog", linthresh=1.0)
    left.set_xlim(-0.5, 3 * max(1.0, _most(summary.transported for summary in summaries)))
    left.set_xlabel("weights moved to the feedback path, a training step")
    right.set_xlim(0, 1.1 * _most(_products(summary) for summary in summaries))
    right.set_xlabel("synaptic products, a training sample")
    left.set_ylim(*_accuracies(summaries))
    left.set_ylabel("test accuracy [%]")
    for axes in (left, right):
        axes.xaxis.set_major_formatter(lambda value, _: count(value))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = left.get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 5), frameon=False)
    drawing.suptitle(f"{title(good)}\n{KEY}", fontsize=9)
    return _bytes(drawing, kind)


def _products(summary: Summary) -> Spread | None:
    parts = (summary.forward, summary.error, summary.update)
    values = [part.values for part in parts if part is not None]
    return Spread(tuple(sum(run) for run in zip(*values, strict=True)))


def _rank(costs: Sequence[Spread | None], index: int) -> float:
    """Where a rule stands among those of equal cost, their middle being 0."""
    means = [cost.mean if cost is not None else None for cost in costs]
    equal = [other for other, mean in enumerate(means) if mean == means[index]]
    return equal.index(index) - (len(equal) - 1) / 2


def _most(spreads: Iterable[Spread | None]) -> float:
    return max(spread.mean for spread in spreads if spread is not None)


def _accuracies(summaries: Sequence[Summary]) -> tuple[float, float]:
    """Lower and upper end of the accuracy axis in percent: all seeds and spreads, and some room."""
    tests = [summary.test for summary in summaries if summary.test is not None]
    ends = [value for test in tests for value in test.values]
    ends += [test.mean + sign * (test.deviation or 0.0) for test in tests for sign in (-1, 1)]
    room = 0.08 * (max(ends) - min(ends)) or 0.01
    return 100 * (min(ends) - room), 100 * (max(ends) + room)


def _mark(axes: Axes, place: Transform, summary: Summary, cost: Spread | None, index: int) -> None:
    """One rule on one panel. Accuracy in percent; the two spreads have a value a seed, in the same order."""
    if summary.test is None or cost is None:
        return
    colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
    seeds = [100 * value for value in summary.test.values]
    axes.scatter(cost.values, seeds, s=14, color=colour, marker=marker, alpha=0.35, linewidths=0, transform=place)
    axes.errorbar(
        cost.mean,
        100 * summary.test.mean,
        yerr=None if summary.test.deviation is None else 100 * summary.test.deviation,
        color=colour,
        marker=marker,
        markersize=8,
        capsize=4,
        linestyle="none",
        label=summary.label,
        transform=place,
    )


def _bytes(drawing: Figure, kind: Literal["svg", "png"]) -> bytes:
    """The drawing as a file's content; the same records give the same bytes."""
    import matplotlib

    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "onchip", "svg.fonttype": "none"}):
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        drawing.savefig(content, format=kind, dpi=150, metadata=metadata)
    return content.getvalue()
