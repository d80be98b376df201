"""The table of a comparison: a row a rule, every number from the records."""

from __future__ import annotations

from collections.abc import Sequence

from onchip.records import Record
from onchip.summary import Spread, Summary, count, summarise, title

__all__ = ["HEADER", "NOTE", "failures", "markdown", "rows"]

HEADER = (
    "rule",
    "test %",
    "validation %",
    "seeds",
    "weights moved / step",
    "forward / sample",
    "error / sample",
    "update / sample",
    "samples/s",
)

NOTE = (
    "Accuracies: mean ± standard deviation over the seeds that succeeded. Weights moved: scalars copied from forward "
    "to feedback weights in training, the first copy apart. Forward, error, update: scalar products that the engine "
    "made, for a training sample: of weights and activity, of backward weights and errors, of errors and activity. "
    "k, M, G: 10^3, 10^6, 10^9."
)


def rows(records: Sequence[Record]) -> list[tuple[str, ...]]:
    """The table's cells as text, a row a rule, in `HEADER`'s order."""
    return [_row(summary) for summary in summarise(records)]


def failures(records: Sequence[Record]) -> list[str]:
    """One line for each run that failed: which, and why."""
    return [f"{r.label}, seed {r.seed}: {r.error}" for r in records if r.status == "failed"]


def markdown(records: Sequence[Record]) -> str:
    """The table as Markdown with its columns aligned, and below it what failed. Needs a record at least."""
    cells = [HEADER, *rows(records)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEADER))]
    head, *body = [_line(row, widths) for row in cells]
    rule = "| " + " | ".join("-" * widths[0] if c == 0 else "-" * (w - 1) + ":" for c, w in enumerate(widths)) + " |"
    failed = [f"- failed: {line}" for line in failures(records)]
    blocks = [[title(records)], [head, rule, *body], failed, [NOTE]]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _row(summary: Summary) -> tuple[str, ...]:
    seeds = str(summary.runs) if summary.succeeded == summary.runs else f"{summary.succeeded} of {summary.runs}"
    counts = (summary.transported, summary.forward, summary.error, summary.update, summary.speed)
    return (
        summary.label,
        _percent(summary.test),
        _percent(summary.validation),
        seeds,
        *("-" if spread is None else count(spread.mean) for spread in counts),
    )


def _percent(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    deviation = "" if spread.deviation is None else f" ± {100 * spread.deviation:.2f}"
    return f"{100 * spread.mean:.2f}{deviation}"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell.ljust(w) if c == 0 else cell.rjust(w) for c, (cell, w) in enumerate(zip(row, widths, strict=True))]
    return "| " + " | ".join(cells) + " |"
