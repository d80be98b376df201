"""The figures of runs that may be compared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onchip.report.costs import COSTS, traffic
from onchip.report.curves import learning, probed, quantities
from onchip.report.drawing import Kind, Looks, content, verbatim
from onchip.report.energy import costs, unpriced
from onchip.report.pareto import pareto, worth_drawing
from onchip.report.summary import summarize, title
from onchip.runs.record import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CURVES = "Curves: mean over seeds; thin: single seeds."

QUANTITIES = {
    "cosine": "Cosine between a rule's gradient and that of backpropagation",
    "norm_ratio": "Norm of a rule's gradient, over that of backpropagation",
    "gradient_variance": "Variance of a weight's gradient between batches, mean over the layer",
    "feedback_cosine": "Cosine between feedback weights and forward weights",
    "rate": "Firing rate: spikes per neuron and sample, and per step where there are steps",
    "silent": "Share of neurons that never fire",
    "dead": "Share of neurons that pass no error",
    "saturated": "Share of neurons that fire whenever they can",
    "passing": "Share of neurons and samples that pass error",
}
"""What probes measure, in words; see `onchip.diagnostics.probes`."""


@dataclass(frozen=True)
class Drawn:
    """A figure.

    Args:
        name: for names of files.
        caption: what it shows.
        drawing: the figure itself.
        detail: whether it is for readers who want to know more.
    """

    name: str
    caption: str
    drawing: Figure
    detail: bool = False

    def content(self, kind: Kind, *, transparent: bool = False) -> bytes:
        """The figure as a file's content."""
        return content(self.drawing, kind, transparent=transparent)


def figures(records: Sequence[Record], looks: Looks | None = None, *, hardware: Sequence[str] = ()) -> list[Drawn]:
    """Accuracy against each cost, learning curves, and what probes saw; only what the records hold.

    Args:
        records: runs of one group.
        looks: how rules are told apart; None for figures that stand alone, each with a legend.
        hardware: energy tables that are asked for, besides those that the records name.

    Raises:
        RequestError: there is no such energy table.
    """
    good = [record for record in records if record.status == "ok"]
    summaries = summarize(good)
    shown = []
    for cost in costs(good, hardware):
        if worth_drawing(summaries, cost):
            caption = " ".join([f"Test accuracy against {cost.axis}.", *unpriced(summaries, [cost])])
            front = pareto(summaries, [cost], looks)
            shown.append(Drawn(f"front-{_file_name(cost.name)}", caption, front, cost.detail))
    return [*shown, *curves(good, looks)]


def curves(records: Sequence[Record], looks: Looks | None = None) -> list[Drawn]:
    """Learning curves, and what probes saw; only what the records hold.

    Args:
        records: runs of one group.
        looks: how rules are told apart; None for figures that stand alone, each with a legend.
    """
    good = [record for record in records if record.status == "ok"]
    summaries = summarize(good)
    shown = []
    drawings = {
        "learning-accuracy": (
            "Validation accuracy while training",
            learning(
                summaries,
                lambda e: None if e.validation_accuracy is None else 100 * e.validation_accuracy,
                "validation accuracy [%]",
                looks,
            ),
        ),
        "learning-loss": ("Training loss", learning(summaries, lambda e: e.train_loss, "mean training loss", looks)),
        **{
            f"probe-{_file_name(name)}": (QUANTITIES.get(name, name), probed(summaries, name, looks))
            for name in quantities(good)
        },
    }
    for name, (caption, drawn) in drawings.items():
        if drawn is not None:
            shown.append(Drawn(name, f"{caption}.", drawn, detail=name.startswith("probe") and name != "probe-cosine"))
    return shown


def _file_name(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:40]


def figure(records: Sequence[Record], kind: Kind) -> bytes | None:
    """Test accuracy of each rule, beside its traffic and its arithmetic; None if no run succeeded."""
    good = [record for record in records if record.status == "ok"]
    if not good:
        return None
    arithmetic = next(cost for cost in COSTS if cost.name == "products")
    drawing = pareto(summarize(good), [traffic(good), arithmetic])
    drawing.suptitle(verbatim(title(good), longest=150), fontsize=9, y=0.99, va="top", parse_math=False)
    return content(drawing, kind)
