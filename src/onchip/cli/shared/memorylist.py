"""The memory of rules as rows of a table, as Markdown and as JSON."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from onchip.cli.shared.table import drawn, paragraph, terminal_width
from onchip.cli.shared.terminal import say
from onchip.errors import RequestError
from onchip.report.markdown import markdown_table
from onchip.runs.config import RunConfig

if TYPE_CHECKING:
    from onchip.cost.memory import StepMemory

PARTS = "weights", "optimizer", "feedback", "batch", "gradients", "activity", "working"
SETTINGS = "steps", "batch_size", "chunk", "recompute", "optimizer", "precision"
UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


@dataclass(frozen=True)
class RuleMemory:
    """The memory of a training step under a rule.

    Args:
        rule: The rule, with its options.
        need: At the peak, in bytes.
        fits: The largest batch within the limit; None without a limit.
    """

    rule: str
    need: StepMemory
    fits: int | None


def header(limit: str | None) -> tuple[str, ...]:
    """Heads of the columns."""
    return ("rule", "peak", *PARTS, *([] if limit is None else [f"largest batch in {limit}"]))


def cells(row: RuleMemory) -> tuple[str, ...]:
    """A row of the table, in the order of `header`."""
    fits = [] if row.fits is None else [f"{row.fits:,}" if row.fits else "none"]
    return (row.rule, size(row.need.total), *(size(getattr(row.need, part)) for part in PARTS), *fits)


def to_json(row: RuleMemory, about: str, config: RunConfig, limit: str | None) -> str:
    """One line of JSON; sizes are in bytes."""
    fits = {} if limit is None else {"limit": round(parsed("memory-limit", limit)), "largest_batch": row.fits}
    settings = {name: getattr(config, name) for name in SETTINGS}
    parts = {name: round(value) for name, value in asdict(row.need).items()}
    return json.dumps({"rule": row.rule, "about": about, **settings, "peak": round(row.need.total), **parts, **fits})


def size(count: float) -> str:
    """Bytes in the unit that suits them.

    Example:
        >>> size(0), size(1536), size(3.5 * 2**30)
        ('0', '1.5 KiB', '3.5 GiB')
    """
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= unit:
            return f"{count / unit:,.3g} {name}" if count < 1000 * unit else f"{count / unit:,.0f} {name}"
    return f"{count:.0f}" + (" B" if count else "")


def parsed(option: str, text: str) -> float:
    """Bytes of a text such as 8GiB, 500M or 1e9.

    Raises:
        RequestError: The text is no size above 0.
    """
    found = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([kmgt]?)(?:i?b)?\s*", text.lower())
    try:
        value = float(found[1]) * UNITS[found[2]] if found else 0.0
    except ValueError:
        value = 0.0
    if not 0 < value < 2**60:
        raise RequestError(f"{option} got {text!r}; expected a size above 0 such as 8GiB or 500MiB")
    return value


def note(config: RunConfig) -> str:
    """What the columns mean."""
    chunks = "" if config.chunk is None else f", {config.chunk} at a time"
    chunks += ", recomputed," if config.recompute else ""
    return (
        f"Memory that is allocated at the peak of a training step of {config.batch_size} samples{chunks}, under "
        f"{config.optimizer} in {config.precision}, predicted from steps on few samples. Activity: what a forward pass "
        "stores for the backward pass. Working: errors, products and other results on the way. Gradients are there "
        "from the backward pass of their layer to the optimizer's step. The data set, and what the program needs "
        "before it has a network, are not included; nor are gaps between blocks of memory that `onchip train` keeps "
        "for the next step, which may take as much again. docs/memory.md explains them."
    )


def print_memory(
    rows: Sequence[RuleMemory], about: str, config: RunConfig, limit: str | None, *, as_json: bool
) -> None:
    """Print the rows: lines of JSON, a table on a terminal, or Markdown."""
    heads, below = header(limit), note(config)
    if as_json:
        for row in rows:
            say(to_json(row, about, config, limit))
    elif sys.stdout.isatty():
        width = terminal_width()
        order = (heads[1], *heads[len(PARTS) + 2 :], "activity", *PARTS)
        lines, left_out = drawn(heads, [cells(row) for row in rows], order, width)
        rest = [f"--json also has: {', '.join(left_out)}."] if left_out else []
        say("\n\n".join([paragraph(about, width), "\n".join(lines), *(paragraph(t, width) for t in (*rest, below))]))
    else:
        say(f"{about}\n\n{markdown_table(heads, [cells(row) for row in rows], padded=True)}\n\n{below}")
