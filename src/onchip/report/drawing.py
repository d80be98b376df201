"""What all figures share: canvas, one look per rule, legends that take any text, and files."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from onchip._text import one_line

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Kind = Literal["svg", "png"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# Okabe & Ito, "Color universal design", 2008: tells apart for color-blind readers; markers repeat it.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX*<>hp"
WIDTH, HEIGHT = 5.2, 3.9
"""Inches of a panel with its margins: small enough for its text to be read on a phone."""
LEFT, RIGHT, BELOW, ABOVE = 0.6, 0.2, 0.5, 0.3
"""Inches around a panel, for its ticks, labels and title."""
RULE = "rule-"
"""How the ids of a rule's lines begin in figures for a page; the rule's number follows."""
LINE = 0.19
"""Inches of a legend's line."""
LONGEST = 60
"""Characters of a label; the table beside the figure has it whole."""


@dataclass(frozen=True)
class Looks:
    """The color and the marker of each rule, by its label.

    Args:
        numbers: The rule's number.
        legend: Whether each figure has a legend; False on a page that has one for all.
    """

    numbers: Mapping[str, int]
    legend: bool = True

    @classmethod
    def of(cls, labels: Sequence[str], *, legend: bool = True) -> Looks:
        """Looks in the order of the labels."""
        return cls({label: number for number, label in enumerate(dict.fromkeys(labels))}, legend)

    def color(self, label: str) -> str:
        """Color of a rule."""
        return COLORS[self.numbers[label] % len(COLORS)]

    def marker(self, label: str) -> str:
        """Marker of a rule."""
        return MARKERS[self.numbers[label] % len(MARKERS)]


def canvas(
    labels: Sequence[str], rows: int = 1, columns: int = 1, *, width: float = WIDTH, height: float = HEIGHT
) -> tuple[Figure, list[Axes]]:
    """A figure with panels, and with room for a legend of these labels below them.

    Places are fixed: a layout found by trying draws everything twice.
    """
    from matplotlib.figure import Figure as Canvas  # half a second: only when a figure is wanted

    below = BELOW + LINE * -(-len(labels) // _columns(labels, width * columns))
    across, down = width * columns, height * rows + below - BELOW
    figure = Canvas(figsize=(across, down))
    panels = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    figure.subplots_adjust(
        *(LEFT / across, below / down, 1 - RIGHT / across, 1 - ABOVE / down),  # left, bottom, right, top
        *((LEFT + RIGHT) / (width - LEFT - RIGHT), (BELOW + ABOVE) / (height - BELOW - ABOVE)),  # wspace, hspace
    )
    return figure, panels


def mark(looks: Looks, label: str, size: float) -> dict[str, Any]:
    """The style of a rule's mark: a ring, through which what lies behind it is seen."""
    color = looks.color(label)
    style = {"marker": looks.marker(label), "markersize": size, "markeredgecolor": color, "linestyle": "none"}
    return {**style, "color": color, "markerfacecolor": "none", "markeredgewidth": 1.2}


def outline(marker: str) -> str:
    """A marker of size 1 around the origin as the data of an SVG path."""
    from matplotlib.markers import MarkerStyle

    style = MarkerStyle(marker)
    letters = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}
    pieces = []
    for points, code in style.get_path().transformed(style.get_transform()).iter_segments():
        numbers = [] if code == 79 else [f"{x:.2f} {-y:.2f}" for x, y in points.reshape(-1, 2)]  # y grows downward
        pieces.append(letters[int(code)] + " ".join(numbers))
    return "".join(pieces)


def legend(drawing: Figure, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """A legend below all panels. Labels are shown as they are, whatever matplotlib would make of `$` or `_`."""
    columns = _columns(labels, drawing.get_figwidth())
    style: dict[str, Any] = {"loc": "lower center", "borderaxespad": 0.2, "frameon": False, "labelspacing": 0.3}
    box = drawing.legend(handles, ["label"] * len(labels), ncols=columns, fontsize=8.5, **style)
    for text, label in zip(box.get_texts(), labels, strict=True):
        text.set_parse_math(False)
        text.set_text(verbatim(label))


def plain(axes: Axes) -> None:
    """A grid in the background, and no frame."""
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8.5)


def verbatim(label: str, longest: int = LONGEST) -> str:
    """A label without what no figure can show, and not too long."""
    text = re.sub(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd]", "?", one_line(label))
    return text if len(text) <= longest else text[: longest - 1] + "…"


def content(drawing: Figure, kind: Kind, *, transparent: bool = False) -> bytes:
    """The drawing as a file's content; the same records give the same bytes."""
    import matplotlib

    buffer = io.BytesIO()
    settings: dict[Any, Any] = {"svg.hashsalt": "onchip", "svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans"]}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a record's text may be of any script
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        drawing.savefig(buffer, format=kind, dpi=150, metadata=metadata, transparent=transparent)
    return buffer.getvalue()


def _columns(labels: Sequence[str], width: float) -> int:
    """Columns of a legend that its labels fit into, on a figure of that many inches."""
    widest = max((len(verbatim(label)) for label in labels), default=1)
    return max(1, min(len(labels), int(width * 14 // (widest + 7))))  # 14 letters per inch, 7 for mark and gap
