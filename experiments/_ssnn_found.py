"""What the records of spike-based backpropagation say, in the sentences that docs/ssnn.md begins with."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from _ssnn import REFERENCE, References, noise

Entries = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Table:
    """The records of one table.

    Args:
        title: Its title; there may be records of others.
        everything: Records, as the files hold them.
    """

    title: str
    everything: Entries

    @property
    def entries(self) -> Entries:
        return [entry for entry in self.everything if entry["table"] == self.title]

    def runs(self, row: str) -> Entries:
        return [entry for entry in self.entries if entry["row"] == row]

    def has(self, *rows: str) -> bool:
        """Whether there are runs of all these rows, and of the clipped network."""
        return bool(References.of(self.entries).accuracies) and all(self.runs(row) for row in rows)

    def seeds(self, *rows: str) -> str:
        """How many runs of each row there are: `n = 3`, or the least and the most."""
        counts = sorted({len(self.runs(row)) for row in rows})
        return f"n = {'-'.join(map(str, dict.fromkeys((counts[0], counts[-1]))))}"

    def behind(self, row: str, part: int = 0) -> str:
        """How far a row is from the clipped network: as a whole, or in training (1), or in the read-out (2)."""
        return distance([each[part] for each in noise(self.runs(row), References.of(self.entries))])

    def read_behind(self, row: str, number: int, kind: str = "lengths") -> str:
        """How far a row is from the clipped network, read in trains of another length, or in a number of `passes`."""
        best = [(run, References.of(self.entries).find(run)) for run in self.runs(row)]
        return distance([100 * (run[kind][str(number)] - found) for run, found in best if found is not None])

    def accuracy(self, row: str) -> str:
        """Mean accuracy of a row in percent."""
        runs = self.entries if row == REFERENCE else self.runs(row)
        found = [run["record"]["test_accuracy"] for run in runs if row != REFERENCE or run["row"].startswith(row)]
        return f"{100 * statistics.mean(found):.2f} %"


def distance(points: Sequence[float]) -> str:
    """A mean difference in words: `0.36 ± 0.09 below`."""
    mean = statistics.mean(points)
    deviation = f" ± {statistics.stdev(points):.2f}" if len(points) > 1 else ""
    return f"{abs(mean):.2f}{deviation} {'below' if mean < 0 else 'above'}"


def flat(table: Table) -> str:
    rows = "ours, T = 8", "ours, T = 16", "the paper's streams, T = 32"
    short, longer, paper = map(table.behind, rows)
    alone = f"{short} at T = 8, {longer} at T = 16; the paper's streams at T = 32 are {paper} ({table.seeds(*rows)})"
    row = "integrate, T = 8"
    return (
        f"{alone}; neurons that integrate, at T = 8, {table.behind(row)} ({table.seeds(row)})"
        if table.has(row)
        else alone
    )


def deep(table: Table) -> str:
    kinds = {"neurons that integrate": "integrate, gain 1.4", "neurons that send their mean": "gain 1.4"}
    return "; ".join(f"{kind} {lengths(table, row)}" for kind, row in kinds.items() if table.has(f"{row}, T = 16"))


def lengths(table: Table, name: str) -> str:
    """A row at every length of its spike trains, with the two parts at T = 16."""
    rows = {steps: f"{name}, T = {steps}" for steps in (8, 16, 32) if table.has(f"{name}, T = {steps}")}
    trained = ", ".join(f"{table.behind(row)} at T = {steps}" for steps, row in rows.items())
    read = ", ".join(table.read_behind(row, 128) for row in rows.values())
    parts = f"at T = 16 in training {table.behind(rows[16], 1)}, in the read-out {table.behind(rows[16], 2)}"
    return f"{trained} ({parts}), the same weights read for 128 steps {read} ({table.seeds(*rows.values())})"


def feedback(table: Table) -> str:
    rows = "ssnn_bp", "frozen, 1,000 times fewer bits", "own-noise mirror", "never transported", "random"
    exact, frozen, mirror, never, random = map(table.behind, rows)
    return (
        f"`ssnn_bp` {exact} (in training {table.behind('ssnn_bp', 1)}, in the read-out {table.behind('ssnn_bp', 2)}), "
        f"frozen feedback refreshed with 1,000 times fewer bits {frozen}, the own-noise mirror, without any transport, "
        f"{mirror}; feedback that is never refreshed {never}, random {random} ({table.seeds(*rows)})"
    )


def spiking(table: Table) -> str:
    names = {
        "integrate, gain 8": "`ssnn_bp` with gain 8 and neurons that integrate",
        "integrate, own-noise mirror, gain 8": "the own-noise mirror with both",
        "gain 8": "`ssnn_bp` with gain 8",
        "ours": "`ssnn_bp`",
        "integrate": "neurons that integrate",
        "own-noise mirror, gain 8": "own-noise mirror with gain 8",
        "own-noise mirror": "own-noise mirror",
        "real errors (bp)": "real errors",
    }
    rows = [row for row in names if table.runs(row)]
    return ", ".join(f"{names[row]} {table.behind(row)}" for row in rows) + f" ({table.seeds(*rows)})"


def absolute(table: Table) -> str:
    return f"{spiking(table)}; the clipped network reaches {table.accuracy(REFERENCE)}"


SENTENCES: tuple[tuple[str, str, str, Callable[[Table], str]], ...] = (
    ("One hidden layer, all of Fashion-MNIST", "784-200-10, all of fashion-mnist", "ours, T = 8", flat),
    ("One hidden layer, all of MNIST", "784-200-10, all of mnist", "ours, T = 8", flat),
    ("Two hidden layers, all of Fashion-MNIST", "784-200-100-10, all of fashion-mnist", "gain 1.4, T = 16", deep),
    ("Feedback in two hidden layers, T = 8", "784-200-100-10, all of fashion-mnist, T = 8", "random", feedback),
    (
        "Convolutions, 10,000 images, T = 8",
        "16C3-P2-32C3-P2-10, 10,000 images of fashion-mnist, T = 8",
        "ours",
        spiking,
    ),
    (
        "Convolutions, 10,000 images, T = 16",
        "16C3-P2-32C3-P2-10, 10,000 images of fashion-mnist, T = 16",
        "gain 8",
        spiking,
    ),
    (
        "Part of N-MNIST, 1,000 training and 100 test recordings, so that one is a point",
        "2,312-200-10, the part of n-mnist available here, T = 12",
        "ours",
        absolute,
    ),
    (
        "CIFAR-10 (JPEG), convolutions, 10,000 images, T = 16",
        "16C3-P2-32C3-P2-10, 10,000 images of cifar-10 (JPEG), T = 16",
        "gain 8",
        absolute,
    ),
)
"""What a sentence is about, the title of its table, a row that it cannot do without, and what makes it."""


def found(entries: Entries) -> str:
    """A list of what was found, in points against the clipped network, of what there are records."""

    def lines() -> Iterator[str]:
        for about, title, needed, say in SENTENCES:
            table = Table(title, entries)
            if table.has(needed):
                yield f"- {about}: {say(table)}."

    return "\n".join(lines())
