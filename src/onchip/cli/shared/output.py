"""The results of a comparison: table and figure, in its folder and on the terminal."""

import sys
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from onchip import report
from onchip._files import write_whole
from onchip.runs.record import Record


def write_report(folder: Path, records: Sequence[Record]) -> None:
    """Write `table.md`, `report.html`, and the figure if a run succeeded."""
    write_whole(folder / "table.md", report.as_markdown(records))
    write_whole(folder / "report.html", report.page(report.grouped(records)))
    for kind in report.KINDS:
        drawing = report.figure(records, kind)
        if drawing is not None:
            write_whole(folder / f"figure.{kind}", drawing)


def show_table(records: Sequence[Record], *, to_error: bool) -> None:
    """Print the table: as Markdown into a pipe or a file, drawn on a terminal."""
    stream = sys.stderr if to_error else sys.stdout
    if not stream.isatty():
        typer.echo(report.as_markdown(records), err=to_error)
        return
    table = Table(title=report.title(records), caption=report.NOTE, title_justify="left", caption_justify="left")
    content = report.table(records)
    for index, name in enumerate(content.header):
        table.add_column(name, justify="left" if index == 0 else "right", overflow="fold")
    for row in content.texts():
        table.add_row(*row)
    console = Console(stderr=to_error, highlight=False, markup=False)
    console.print(table)
    for line in report.failures(records):
        console.print(f"failed: {line}")
