"""Tables on a terminal: as many columns as fit into its width, or one column per row if all of them fit so."""

import os
import re
import sys
import textwrap
from collections.abc import Sequence

from rich.cells import cell_len, chop_cells
from rich.console import Console

from onchip._text import one_line

GAP = "  "
PIPE = 100
"""Letters per line where there is no terminal."""
NARROWEST = 8
"""Letters per line of a first column that no width suffices for."""


def drawn(
    header: Sequence[str], rows: Sequence[Sequence[str]], order: Sequence[str], width: int
) -> tuple[list[str], list[str]]:
    """A table in lines of at most a width; no head is broken within a word.

    Args:
        header: Heads of the columns; the first column names the rows, and is always shown.
        rows: As many cells each.
        order: Heads, the most important first; that column is always shown, too.
        width: Letters per line.

    Returns:
        The lines, and the heads for which there is no room.
    """
    columns = [[one_line(cell) for cell in column] for column in zip(header, *rows, strict=True)]
    transposed = [list(row) for row in zip(*columns, strict=True)]
    for every in (columns, transposed):
        if _least(every[0]) + _room(every[1:]) <= width:
            return _lines(every, width), []
    first, kept = columns[0], list[list[str]]()
    for head in order:
        column = next((column for column in columns[1:] if column[0] == one_line(head)), None)
        if column and (not kept or _least(first) + _room([*kept, column]) <= width):
            kept.append(column)
    shown = [first, *(column for column in columns[1:] if column in kept)]
    return _lines(shown, width), [column[0] for column in columns if column not in shown]


def stacked(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """All columns of a table, in parts of their own lines, one below the other, where one does not suffice."""
    lines, left_out = drawn(header, rows, header[1:], width)
    rest = [0, *(place for place, head in enumerate(header) if place and one_line(head) in left_out)]
    if not left_out or len(rest) == len(header):
        return [lines]
    below = stacked([header[place] for place in rest], [[row[place] for place in rest] for row in rows], width)
    return [lines, *below]


def paragraph(text: str, width: int) -> str:
    """Text in lines of at most a width."""
    return "\n".join(line for words in textwrap.wrap(one_line(text), width) for line in chop_cells(words, width))


def terminal_width(*, to_error: bool = False) -> int:
    """Letters per line of a terminal; where there is none, what `COLUMNS` says, or else 100."""
    asked = os.environ.get("COLUMNS", "")
    without = int(asked) if asked.isdecimal() and int(asked) else PIPE
    stream = sys.stderr if to_error else sys.stdout
    return max(20, Console(file=stream).width if stream.isatty() else without)


def _pieces(text: str) -> list[str]:
    """Where a text may go on in the next line: after a space, or after a semicolon between options."""
    return re.findall(r"[^ ;]*[ ;]?", text)[:-1]


def _least(column: Sequence[str]) -> int:
    """Width that a column needs if its cells may take several lines."""
    return max((cell_len(piece.rstrip()) for cell in column for piece in _pieces(cell)), default=0)


def _widths(columns: Sequence[Sequence[str]], height: int | None = None) -> list[int]:
    """Widths of columns whose heads alone may take several lines, so many at most."""
    widths = []
    for head, *cells in columns:
        width = max(_least([head]), *map(cell_len, cells), 1)
        while height and len(_wrapped(head, width)) > height:
            width += 1
        widths.append(width)
    return widths


def _room(columns: Sequence[Sequence[str]], height: int | None = None) -> int:
    """Width of columns, with the gap before each."""
    return sum(_widths(columns, height)) + len(GAP) * len(columns)


def _lines(columns: Sequence[Sequence[str]], width: int) -> list[str]:
    first, *others = columns
    natural = max(map(cell_len, first))
    left = min(natural, max(NARROWEST, width - _room(others)))
    heights = (height for height in range(1, width) if left + _room(others, height) <= width)
    widths = _widths(others, next(heights, None))
    heads = [_wrapped(column[0], room) for column, room in zip(columns, [left, *widths], strict=True)]
    height = max(map(len, heads))
    lines = [_line([[""] * (height - len(head)) + head for head in heads], row, left, widths) for row in range(height)]
    lines.append(GAP.join("─" * room for room in (left, *widths)))
    for name, *cells in zip(*(column[1:] for column in columns), strict=True):
        names = _wrapped(name, left)
        parts = [names, *([cell] + [""] * (len(names) - 1) for cell in cells)]
        lines += [_line(parts, row, left, widths) for row in range(len(names))]
    return lines


def _line(parts: Sequence[Sequence[str]], row: int, left: int, widths: Sequence[int]) -> str:
    name, *cells = (part[row] for part in parts)
    texts = [" " * (room - cell_len(cell)) + cell for cell, room in zip(cells, widths, strict=True)]
    return GAP.join([name + " " * (left - cell_len(name)), *texts]).rstrip()


def _wrapped(text: str, width: int) -> list[str]:
    """A cell in lines; a piece that alone is too wide is broken anywhere."""
    lines = [""]
    for piece in _pieces(text):
        if lines[-1] and cell_len(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        *full, rest = chop_cells(lines[-1] + piece, width) if cell_len(piece.rstrip()) > width else [lines[-1] + piece]
        lines[-1:] = [*full, rest]
    return [line.rstrip() for line in lines]
