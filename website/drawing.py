"""Pictures as SVG text: boxes, arrows and words, in colors that follow the light or dark scheme of the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

__all__ = ["Drawing"]

COLORS = {
    "ink": ("#24292f", "#e6edf3"),
    "quiet": ("#57606a", "#9aa4b0"),
    "fill": ("#f6f8fa", "#22272e"),
    "forward": ("#0550ae", "#79b8ff"),
    "error": ("#b3261e", "#ff8a80"),
    "transport": ("#8a4600", "#f0b35e"),
    "noise": ("#116329", "#7ee787"),
}
"""Colors on light and on dark ground; each has at least 4.5 to 1 of contrast to the ground."""

Point = tuple[float, float]


@dataclass
class Drawing:
    """A picture of a size in pixels, to which parts are added.

    Args:
        width: of the picture.
        height: of the picture.
        title: what it shows, for readers who do not see it.
    """

    width: int
    height: int
    title: str
    parts: list[str] = field(default_factory=list)

    def box(self, x: float, y: float, width: float, height: float, lines: Sequence[str], kind: str = "ink") -> None:
        """A rectangle with lines of text in its middle."""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" '
            f'style="fill:var(--d-fill);stroke:var(--d-{kind})"/>'
        )
        top = y + height / 2 - 8 * (len(lines) - 1)
        for number, line in enumerate(lines):
            self.text(x + width / 2, top + 16 * number, line, kind, size=13 if number == 0 else 12)

    def text(self, x: float, y: float, text: str, kind: str = "ink", *, anchor: str = "middle", size: int = 12) -> None:
        """A line of text whose middle is at height y."""
        self.parts.append(
            f'<text x="{x:g}" y="{y + 0.35 * size:g}" text-anchor="{anchor}" font-size="{size}" '
            f'style="fill:var(--d-{kind})">{escape(text)}</text>'
        )

    def arrow(self, points: Iterable[Point], kind: str = "ink", *, dashed: bool = False, head: bool = True) -> None:
        """A line through points, with a head at its end."""
        corners = list(points)
        path = "M" + " L".join(f"{x:g} {y:g}" for x, y in corners)
        dash = ";stroke-dasharray:5 4" if dashed else ""
        self.parts.append(f'<path d="{path}" style="fill:none;stroke:var(--d-{kind});stroke-width:1.6{dash}"/>')
        if head:
            self._head(corners[-2], corners[-1], kind)

    def curve(self, points: Iterable[Point], kind: str = "ink", *, dashed: bool = False) -> None:
        """A line without a head, such as a function of time."""
        self.arrow(points, kind, dashed=dashed, head=False)

    def dot(self, x: float, y: float, kind: str = "ink", radius: float = 4) -> None:
        """A filled circle."""
        self.parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" style="fill:var(--d-{kind})"/>')

    def svg(self) -> str:
        """The text of the picture, which also stands alone: it then follows the scheme of the system."""
        light, dark = (";".join(f"--d-{name}:{pair[i]}" for name, pair in COLORS.items()) for i in (0, 1))
        style = f".drawing{{{light}}}@media(prefers-color-scheme:dark){{.drawing{{{dark}}}}}"
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" class="drawing" viewBox="0 0 {self.width} {self.height}" '
                f'width="{self.width}" height="{self.height}" role="img" font-family="sans-serif">',
                f"<title>{escape(self.title)}</title>",
                f"<style>{style}</style>",
                *self.parts,
                "</svg>",
            ]
        )

    def _head(self, before: Point, tip: Point, kind: str) -> None:
        length = ((tip[0] - before[0]) ** 2 + (tip[1] - before[1]) ** 2) ** 0.5
        along = ((tip[0] - before[0]) / length, (tip[1] - before[1]) / length)
        back = (tip[0] - 8 * along[0], tip[1] - 8 * along[1])
        side = (-4 * along[1], 4 * along[0])
        corners = [tip, (back[0] + side[0], back[1] + side[1]), (back[0] - side[0], back[1] - side[1])]
        path = "M" + " L".join(f"{x:.4g} {y:.4g}" for x, y in corners) + "Z"
        self.parts.append(f'<path d="{path}" style="fill:var(--d-{kind})"/>')
