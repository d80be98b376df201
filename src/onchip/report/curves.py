"""What happened while rules trained: learning curves, and what probes saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from onchip.report import drawing
from onchip.report.drawing import Looks
from onchip.report.summary import Summary
from onchip.runs.record import Epoch, Record

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOGARITHMIC = {"gradient_variance"}
"""Of what probes measure, what spans powers of ten."""

Points = list[tuple[float, float]]
"""(x, y) of one run."""


def learning(
    summaries: Sequence[Summary], of: Callable[[Epoch], float | None], axis: str, looks: Looks | None = None
) -> Figure | None:
    """A number of each epoch, one line per rule: the mean over its seeds, between thin lines of the seeds.

    Args:
        summaries: the rules.
        of: an epoch -> the number; None where it has none.
        axis: the number's name and unit.
        looks: how rules are told apart; None for a figure of its own.

    Returns:
        The figure; None where no run has two epochs with that number.
    """
    runs: list[list[Points]] = [
        [[(e.epoch, value) for e in record.history if (value := of(e)) is not None] for record in summary.good]
        for summary in summaries
    ]
    if not any(len(points) > 1 for rule in runs for points in rule):
        return None
    from matplotlib.ticker import MaxNLocator

    looks = looks or Looks.of([summary.label for summary in summaries])
    figure, (axes,) = _panels(summaries, [""], looks)
    for summary, rule in zip(summaries, runs, strict=True):
        _line(axes, rule, summary.label, looks)
    axes.set_ylabel(axis, fontsize=9)
    axes.set_xlabel("epoch", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return figure


def quantities(records: Sequence[Record]) -> list[str]:
    """What probes measured, in the order in which the records name it."""
    seen = [layer for record in records for probe in record.probes for layer in probe.layers.values()]
    return list(dict.fromkeys(name for layer in seen for name, value in layer.items() if value is not None))


def probed(summaries: Sequence[Summary], quantity: str, looks: Looks | None = None) -> Figure | None:
    """One quantity of the probes over training, one panel per layer, one line per rule; None if none measured it."""
    seen = [probe for s in summaries for record in s.good for probe in record.probes]
    measured = (layer for probe in seen for layer in probe.layers.items())
    layers = list(dict.fromkeys(name for name, values in measured if values.get(quantity) is not None))
    if not layers:
        return None
    looks = looks or Looks.of([summary.label for summary in summaries])
    figure, panels = _panels(summaries, [f"layer {name}" for name in layers], looks)
    for axes, layer in zip(panels, layers, strict=True):
        for summary in summaries:
            _line(axes, [_measured(record, layer, quantity) for record in summary.good], summary.label, looks)
        if quantity in LOGARITHMIC and axes.dataLim.minposy < float("inf"):  # anything above 0 is drawn
            axes.set_yscale("log")
    for axes in panels[-2:]:
        axes.set_xlabel("training step", fontsize=9)
    return figure


def _measured(record: Record, layer: str, quantity: str) -> Points:
    values = [(probe.step, probe.layers.get(layer, {}).get(quantity)) for probe in record.probes]
    return [(step, value) for step, value in values if value is not None]


def _line(axes: Axes, runs: Sequence[Points], label: str, looks: Looks) -> None:
    """One rule: each of its runs, and where they have a point at the same x, their mean."""
    places = sorted({x for points in runs for x, _ in points})
    values = [[y for points in runs for at, y in points if at == x] for x in places]
    if not places:
        return
    color, marker = looks.color(label), looks.marker(label)
    means, every = [sum(ys) / len(ys) for ys in values], max(1, len(places) // 4)
    name = None if looks.legend else f"{drawing.RULE}{looks.numbers[label]}"  # a page hides lines by it
    axes.plot(places, means, color=color, marker=marker, markersize=3.5, markevery=every, linewidth=1.4, gid=name)
    for points in runs if len(runs) > 1 else ():
        axes.plot([x for x, _ in points], [y for _, y in points], color=color, linewidth=0.6, alpha=0.5, gid=name)


def _panels(summaries: Sequence[Summary], titles: Sequence[str], looks: Looks) -> tuple[Figure, list[Axes]]:
    """A figure with one panel per title, two in a row, and its legend."""
    from matplotlib.lines import Line2D

    labels = [summary.label for summary in summaries] if looks.legend else []
    columns = min(2, len(titles))
    size = {} if columns == 1 else {"width": 0.5 * drawing.WIDTH, "height": 0.55 * drawing.HEIGHT}
    figure, panels = drawing.canvas(labels, -(-len(titles) // columns), columns, **size)
    while len(panels) > len(titles):
        panels.pop().remove()
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(drawing.verbatim(title), fontsize=9, loc="left", parse_math=False)
        drawing.plain(axes)
        axes.locator_params(nbins=6)
    handles: list[Artist] = [
        Line2D([], [], color=looks.color(label), marker=looks.marker(label), markersize=5, linewidth=1.4)
        for label in labels
    ]
    drawing.legend(figure, handles, labels)
    return figure, panels
