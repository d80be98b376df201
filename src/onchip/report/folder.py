"""The report of a comparison in its folder."""

import os
from collections.abc import Sequence
from pathlib import Path

from onchip._files import write_whole
from onchip.report.drawing import KINDS
from onchip.report.figures import figure
from onchip.report.groups import grouped
from onchip.report.page import page
from onchip.report.table import as_markdown
from onchip.runs.record import Record


def write(folder: str | os.PathLike[str], records: Sequence[Record]) -> None:
    """Write `table.md`, `report.html`, and the figure if a run succeeded.

    Args:
        folder: Where; it is made if it does not exist.
        records: The runs; at least one.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "table.md", as_markdown(records))
    write_whole(folder / "report.html", page(grouped(records)))
    for kind in KINDS:
        drawing = figure(records, kind)
        if drawing is not None:
            write_whole(folder / f"figure.{kind}", drawing)
