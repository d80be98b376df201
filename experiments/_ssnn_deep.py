"""The tables of two hidden layers of spikes: the loss in training and in the read-out, and other ways to read out."""

from __future__ import annotations

from typing import Any

from _records import FOLDER, read_lines
from _ssnn import REFERENCE, References, tables_of
from _tables import spread
from onchip.report.markdown import markdown_table

RECORDS = FOLDER / "ssnn_deep.jsonl"
TUNING = FOLDER / "ssnn_deep_tuning.jsonl"
LENGTHS = (8, 16, 32, 64, 128)
"""Time steps for which the trained networks read the test images."""
PASSES = (2, 4, 8)
"""Numbers of passes whose outputs are averaged."""


def deep_tables() -> list[str]:
    """The tables of which there are records."""
    entries = read_lines(RECORDS)
    if not entries:
        return []
    said = (
        "The same weights, read in trains of other lengths, and in several passes as long as those of training, "
        "averaged; points against the clipped network's:"
    )
    return [tables_of(RECORDS), said, read_table(entries)]


def read_table(entries: list[dict[str, Any]]) -> str:
    """The same weights, read out in other ways: points against the clipped network's."""
    best = References.of(entries)
    names = [name for name in dict.fromkeys(entry["row"] for entry in entries) if not name.startswith(REFERENCE)]
    rows = []
    for name in names:
        runs = [(entry, accuracy) for entry in entries if entry["row"] == name and (accuracy := best.find(entry))]

        def points(kind: str, column: int, runs: list[tuple[dict[str, Any], float]] = runs) -> str:
            return spread([100 * (run[kind][str(column)] - accuracy) for run, accuracy in runs], "+") if runs else ""

        shown = [points("lengths", steps) for steps in LENGTHS] + [points("passes", count) for count in PASSES]
        rows.append((name, str(len(runs)), *shown))
    header = ("row", "seeds", *(f"T = {steps}" for steps in LENGTHS), *(f"{count} passes" for count in PASSES))
    return markdown_table(header, rows)
