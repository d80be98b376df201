"""The results of a comparison on the terminal."""

import sys
from collections.abc import Sequence
from pathlib import Path

from onchip import report
from onchip.cli.shared.table import drawn, paragraph, terminal_width
from onchip.cli.shared.terminal import say
from onchip.errors import unknown_name
from onchip.runs.grammar import split
from onchip.runs.record import Record


def chosen_columns(text: str | None) -> list[str] | None:
    """The columns that `--columns` names; None for all that fit.

    Raises:
        RequestError: There is no such column.
    """
    names = None if text is None else [name.lower() for name in split(text)]
    for name in names or ():
        if name not in report.COLUMNS:
            raise unknown_name("column", name, report.COLUMNS)
    return names


def show_table(
    records: Sequence[Record], *, to_error: bool, columns: Sequence[str] | None = None, file: Path | None = None
) -> None:
    """Print the table: as Markdown into a pipe or a file, in as many columns as fit on a terminal.

    Args:
        records: The runs.
        to_error: Whether it goes to standard error.
        columns: Names of the columns to print, in this order; None for all.
        file: Where the whole table is.
    """
    stream = sys.stderr if to_error else sys.stdout
    if not stream.isatty():
        say(report.as_markdown(records, columns=columns), error=to_error)
        return
    table, width = report.table(records, columns), terminal_width()
    heads = dict(zip(table.names, table.header, strict=True))
    order = [heads[name] for name in columns or report.COLUMNS if name in heads]
    lines, left_out = drawn(table.header, table.texts(), order, width)
    if left_out:
        left_out = [paragraph(f"{file or 'the file'} also has: {', '.join(left_out)}. --columns chooses.", width)]
    failed = [paragraph(f"failed: {line}", width) for line in report.failures(records)]
    below = [paragraph(text, width) for text in (*table.unpriced, report.NOTE)]
    blocks = [[paragraph(report.title(records), width)], lines, left_out, failed, *([text] for text in below)]
    say("\n\n".join("\n".join(block) for block in blocks if block), error=to_error)
