"""Marks stand where their numbers are, and each is seen."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer

from onchip.report.costs import BITS, COSTS, Cost
from onchip.report.pareto import pareto
from onchip.report.summary import Summary, summarize
from onchip.runs.record import Record
from tests.examples import record

BITS_OF = {"bp": 1000.0, "ottt": 1000.0, "fa": 0.0, "dfa": 0.0, "opzo": 0.0}


def runs(accuracies: dict[str, float], seeds: int, most: float) -> list[Record]:
    scale = most / 1000.0
    return [
        record(
            rule,
            seed,
            accuracy + 0.01 * seed,
            ledger={**record().ledger, "transport_value_bits": scale * BITS_OF[rule], "transport_index_bits": 0},
        )
        for rule, accuracy in accuracies.items()
        for seed in range(seeds)
    ]


def points(summary: Summary, cost: Cost) -> list[tuple[float, float]]:
    return [(cost.of(run) or 0.0, 100 * (run.test_accuracy or 0.0)) for run in summary.good]


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("most", [20.0, 1e9])
def test_no_mark_is_moved_and_every_seed_is_drawn(seeds: int, most: float) -> None:
    summaries = summarize(runs(dict.fromkeys(BITS_OF, 0.5), seeds, most))
    chosen = [BITS, next(cost for cost in COSTS if cost.name == "products")]
    figure = pareto(summaries, chosen)
    figure.canvas.draw()
    for axes, cost in zip(figure.axes, chosen, strict=True):
        bars = [container for container in axes.containers if isinstance(container, ErrorbarContainer)]
        dots = [collection for collection in axes.collections if len(np.asarray(collection.get_offsets())) == seeds]
        dots = [collection for collection in dots if collection.get_paths() and collection.get_zorder() == 4]
        assert len(bars) == len(dots) == len(summaries)
        for summary, bar, dot in zip(summaries, bars, dots, strict=True):
            expected = np.array(points(summary, cost))
            np.testing.assert_array_equal(np.asarray(dot.get_offsets()), expected)
            np.testing.assert_allclose(bar[0].get_xydata(), expected.mean(0, keepdims=True), rtol=1e-12)
            pixels = axes.transData.transform(expected)
            np.testing.assert_allclose(dot.get_offset_transform().transform(expected), pixels)
            np.testing.assert_allclose(bar[0].get_transform().transform(expected), pixels)


def test_rings_at_one_place_are_all_seen() -> None:
    accuracies = {"bp": 0.9, "ottt": 0.5, "fa": 0.7, "dfa": 0.7, "opzo": 0.7001}
    (axes,) = pareto(summarize(runs(accuracies, 2, 1e5)), [BITS]).axes
    rings = [c[0] for c in axes.containers if isinstance(c, ErrorbarContainer)]
    assert all(ring.get_markerfacecolor() == "none" for ring in rings), "what lies behind is seen"
    sizes = [ring.get_markersize() for ring in rings]
    assert sizes[0] == sizes[1] == sizes[2] < sizes[3] < sizes[4]
