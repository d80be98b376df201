"""Tables in Markdown."""

from collections.abc import Iterable, Sequence

from onchip._text import one_line


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1, padded: bool = False) -> str:
    """A table in Markdown, without the end of its last line.

    Args:
        header: heads of the columns.
        rows: as many cells each. Line breaks become spaces, and `|` is escaped.
        left: number of leading columns that are aligned to the left; the others, which hold numbers, to the right.
        padded: whether all cells of a column get equal width, for readers of the plain text.

    Example:
        >>> print(markdown_table(["rule", "test %"], [["bp", "97.1"]]))
        | rule | test % |
        | --- | ---: |
        | bp | 97.1 |
    """
    cells = [[one_line(cell).replace("|", r"\|") for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) if padded else 0 for column in zip(*cells, strict=True)]
    lines = [
        [cell.ljust(w) if i < left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        for row in cells
    ]
    lines.insert(1, ["-" * (w or 3) if i < left else "-" * ((w or 4) - 1) + ":" for i, w in enumerate(widths)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
