"""What happened while rules trained: learning curves, and what probes saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from onchip.report import drawing
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


def learning(summaries: Sequence[Summary], of: Callable[[Epoch], float | None], axis: str) -> Figure | None:
    """A number of each epoch, one line per rule: the mean over its seeds, in a band from the lowest to the highest.

    Args:
        summaries: the rules.
        of: an epoch -> the number; None where it has none.
        axis: the number's name and unit.

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

    figure, (axes,), handles = _panels([s.label for s in summaries], [""])
    for index, rule in enumerate(runs):
        _line(axes, rule, index)
    axes.set_ylabel(axis, fontsize=9)
    axes.set_xlabel("epoch", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    drawing.legend(figure, handles, [s.label for s in summaries])
    return figure


def quantities(records: Sequence[Record]) -> list[str]:
    """What probes measured, in the order in which the records name it."""
    seen = [layer for record in records for probe in record.probes for layer in probe.layers.values()]
    return list(dict.fromkeys(name for layer in seen for name, value in layer.items() if value is not None))


def probed(summaries: Sequence[Summary], quantity: str) -> Figure | None:
    """One quantity of the probes over training, one panel per layer, one line per rule; None if none measured it."""
    seen = [probe for s in summaries for record in s.good for probe in record.probes]
    measured = (layer for probe in seen for layer in probe.layers.items())
    layers = list(dict.fromkeys(name for name, values in measured if values.get(quantity) is not None))
    if not layers:
        return None
    figure, panels, handles = _panels([s.label for s in summaries], [f"layer {name}" for name in layers])
    for axes, layer in zip(panels, layers, strict=True):
        for index, summary in enumerate(summaries):
            _line(axes, [_measured(record, layer, quantity) for record in summary.good], index)
        if quantity in LOGARITHMIC and axes.dataLim.minposy < float("inf"):  # anything above 0 is drawn
            axes.set_yscale("log")
    for axes in panels[-2:]:
        axes.set_xlabel("training step", fontsize=9)
    drawing.legend(figure, handles, [s.label for s in summaries])
    return figure


def _measured(record: Record, layer: str, quantity: str) -> Points:
    values = [(probe.step, probe.layers.get(layer, {}).get(quantity)) for probe in record.probes]
    return [(step, value) for step, value in values if value is not None]


def _line(axes: Axes, runs: Sequence[Points], index: int) -> None:
    """One rule: where its runs have a point at the same x, their mean and their range."""
    places = sorted({x for points in runs for x, _ in points})
    values = [[y for points in runs for at, y in points if at == x] for x in places]
    if not places:
        return
    color = drawing.color(index)
    means, every = [sum(ys) / len(ys) for ys in values], max(1, len(places) // 4)
    marker = drawing.marker(index)
    axes.plot(places, means, color=color, marker=marker, markersize=3.5, markevery=every, linewidth=1.2)
    if any(len(ys) > 1 for ys in values):
        lowest, highest = [min(ys) for ys in values], [max(ys) for ys in values]
        axes.fill_between(places, lowest, highest, color=color, alpha=0.15, linewidth=0)


def _panels(labels: Sequence[str], titles: Sequence[str]) -> tuple[Figure, list[Axes], list[Artist]]:
    """A figure with one panel per title, two in a row, and the handles of its legend."""
    from matplotlib.lines import Line2D

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
        Line2D([], [], color=drawing.color(i), marker=drawing.marker(i), markersize=5, linewidth=1.2)
        for i in range(len(labels))
    ]
    return figure, panels, handles
