"""The results of a comparison on the terminal."""

from collections.abc import Sequence

from onchip import report
from onchip._text import one_line
from onchip.cli.shared.table import drawn, paragraph, stacked, terminal_width
from onchip.cli.shared.terminal import say
from onchip.errors import unknown_name
from onchip.runs.grammar import split
from onchip.runs.record import Record

ALL = "all"


def chosen_columns(text: str | None) -> list[str] | None:
    """The columns that `--columns` names; None if it is left out.

    Raises:
        RequestError: There is no such column.
    """
    names = None if text is None else [name.lower() for name in split(text)]
    for name in names or ():
        if name not in (*report.COLUMNS, ALL):
            raise unknown_name("column", name, [*report.COLUMNS, ALL])
    return names if names is None or ALL not in names else list(report.COLUMNS)


def show_table(records: Sequence[Record], *, to_error: bool, columns: Sequence[str] | None = None) -> None:
    """Print the table, no wider than the terminal, or than `terminal_width` says where there is none.

    Args:
        records: The runs.
        to_error: Whether it goes to standard error.
        columns: Names of the columns to print, in this order; below one another if the width does not suffice. None
            for the few that matter most, as far as they fit.
    """
    width = terminal_width(to_error=to_error)
    whole = report.table(records)
    few = [name if name in whole.names else "weights" for name in report.FEW if name in (*whole.names, "bits")]
    table = report.table(records, few if columns is None else columns)
    if columns is None:
        heads = dict(zip(table.names, table.header, strict=True))
        lines, cut = drawn(
            table.header, table.texts(), [heads[name] for name in report.COLUMNS if name in heads], width
        )
        parts = [lines]
    else:
        parts, cut = stacked(table.header, table.texts(), width), []
    shown = [name for name, head in zip(table.names, table.header, strict=True) if one_line(head) not in cut]
    missing = ", ".join(name for name in whole.names if name not in shown)
    left_out = [paragraph(f"Not shown (--columns): {missing}", width)] if missing else []
    failed = [paragraph(f"failed: {line}", width) for line in report.failures(records)]
    below = [paragraph(text, width) for text in (*table.unpriced, report.note(shown))]
    blocks = [[paragraph(report.title(records), width)], *parts, left_out, failed, *([text] for text in below)]
    say("\n\n".join("\n".join(block) for block in blocks if block), error=to_error)
