"""How well a layer or a connection survives an exchange."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Word = Literal["faithful", "approximate", "unsupported"]
"""`faithful`: the same equations, equal but for rounding. `approximate`: others. `unsupported`: none at all."""

WORDS: tuple[Word, ...] = ("faithful", "approximate", "unsupported")

HEADER = ("node", "layer", "verdict", "reason")


@dataclass(frozen=True)
class Verdict:
    """The verdict on a node, or on a connection between nodes.

    Args:
        node: Name of the node in the exchanged graph; empty where there is none.
        layer: Our layer, such as `LIF '1'`.
        word: The verdict.
        reason: What is lost, or what has to be known; empty where there is nothing to say.
    """

    node: str
    layer: str
    word: Word
    reason: str = ""

    def cells(self) -> tuple[str, str, str, str]:
        """The row of a table under `HEADER`."""
        return self.node or "-", self.layer, self.word, self.reason or "-"


def worse(*words: Word) -> Word:
    """The worst of some verdicts; faithful if there are none."""
    return max(words, key=WORDS.index, default="faithful")


def of_all(verdicts: Iterable[Verdict]) -> Word:
    """The verdict on a whole network, which is that on its worst part."""
    return worse(*(verdict.word for verdict in verdicts))


def markdown(verdicts: Sequence[Verdict]) -> str:
    """The verdicts as a table in Markdown."""
    rows = [HEADER, *(verdict.cells() for verdict in verdicts)]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "| " + " | ".join("---" for _ in HEADER) + " |", *lines[1:]])
