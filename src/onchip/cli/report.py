"""`onchip report`: the results of runs on one page."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from onchip import report as reports
from onchip._files import write_whole
from onchip.cli.shared.completion import names
from onchip.cli.shared.failing import failing
from onchip.cli.shared.terminal import say
from onchip.cost.energy import known_tables, table
from onchip.errors import RequestError, unknown_name
from onchip.runs.grammar import split
from onchip.runs.merging import merge, parts
from onchip.runs.record import Record

FORMATS = ("html", "md", "csv", "tex", "svg", "png")


def report(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders that compare or train wrote, or files of records.", metavar="RUNS...")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the report; created if missing.")] = Path("report"),
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="html (one page), md, csv, tex (the table), svg, png (the figures); or all.",
            autocompletion=names("format", FORMATS),
        ),
    ] = "html",
    hardware: Annotated[
        str | None,
        typer.Option(
            help="Energy tables, such as seneca,loihi: a column for each.",
            show_default="the first that the records name",
            autocompletion=names("hardware", known_tables()),
        ),
    ] = None,
) -> None:
    """Show runs on one page that needs no network: tables, Pareto fronts, learning curves, settings.

    Runs on other data, networks or settings are shown apart. Records that cannot be read are named and left out. Parts
    of a comparison, as --shard writes them, become one whole in --out, which can be resumed if runs are missing.
    """
    with failing():
        chosen = FORMATS if formats == "all" else tuple(dict.fromkeys(split(formats)))
        for name in chosen:
            if name not in FORMATS:
                raise unknown_name("format", name, [*FORMATS, "all"])
        tables = tuple(dict.fromkeys(split(hardware))) if hardware is not None else ()
        for name in tables:
            table(name)  # refused before anything is read
        folders, notes = parts(runs, out)
        if folders:
            records, left_out = _merged(folders, out)
        else:
            records, left_out = reports.gather(runs)
            left_out += notes
        for message in left_out:
            say(f"left out: {message}", error=True)
        groups = reports.grouped(records)
        if out.exists() and not out.is_dir():
            raise RequestError(f"{out} is a file; choose another --out")
        out.mkdir(parents=True, exist_ok=True)
        for name, content in _files(groups, left_out, chosen, tables):
            write_whole(out / name, content)
            say(out / name)


def _merged(folders: Sequence[Path], out: Path) -> tuple[list[Record], list[str]]:
    """The records of the parts of a comparison, of which a folder is written; and what was left out."""
    whole = merge(folders, out)
    if not whole.records:
        raise RequestError("; ".join(["no record could be read", *whole.notes]))
    whole.write(out)
    say(f"{len(whole.records)} of {len(whole.sweep.grid())} runs, of {len(folders)} parts, in {out}", error=True)
    if whole.missing:
        names = [f"{run.rule}, seed {run.seed}" for run in whole.missing[:5]]
        names += [f"and {len(whole.missing) - 5} more"] if len(whole.missing) > 5 else []
        command = shlex.join(["onchip", "compare", "--out", str(out), "--resume"])
        say(f"missing: {'; '.join(names)}. Train them here with: {command}", error=True)
    return list(whole.records), list(whole.notes)


def _files(
    groups: Sequence[reports.Group], left_out: Sequence[str], chosen: Sequence[str], hardware: Sequence[str]
) -> Iterator[tuple[str, str | bytes]]:
    """Names and contents of the files of the chosen formats."""
    if "html" in chosen:
        yield "report.html", reports.page(groups, left_out, hardware=hardware)
    if "md" in chosen:
        yield (
            "table.md",
            "\n".join(reports.as_markdown(group.records, group.title, hardware=hardware) for group in groups),
        )
    if "csv" in chosen:
        yield "table.csv", reports.as_csv(groups, hardware=hardware)
    if "tex" in chosen:
        yield "table.tex", reports.as_latex(groups, hardware=hardware)
    kinds = [kind for kind in reports.KINDS if kind in chosen]
    if kinds:
        for number, group in enumerate(groups, start=1):
            before = "" if len(groups) == 1 else f"{number}-"
            for drawn in reports.figures(group.records, hardware=hardware):
                for kind in kinds:
                    yield f"{before}{drawn.name}.{kind}", drawn.content(kind)
