"""What all experiments share: means over seeds, the place of tables in docs/, and the command line."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

__all__ = ["DOCS", "SEEDS", "command", "parser", "spread", "write"]

DOCS = Path(__file__).resolve().parent.parent / "docs"
SEEDS = (0, 1, 2)
END = "<!-- end of table -->"


def spread(values: Sequence[float], sign: str = "") -> str:
    """The mean ± the standard deviation with two decimals; the mean alone if there is one value.

    Args:
        values: One number per seed.
        sign: Pass "+" to write the sign of positive means, as differences need it.
    """
    mean = f"{statistics.mean(values):{sign}.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def write(page: str, tables: Mapping[str, str]) -> None:
    """Writes tables between their markers in a page of docs/.

    Args:
        page: The name of the page.
        tables: The text between `<!-- table: NAME -->` and the next end marker, by NAME.
    """
    path = DOCS / page
    text = path.read_text(encoding="utf-8")
    for name, new in tables.items():
        begin = f"<!-- table: {name} -->\n"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{new}\n\n{END}{rest.partition(END)[2]}"
    path.write_text(text, encoding="utf-8")


def parser(description: str | None, page: str) -> argparse.ArgumentParser:
    """A parser with the option `--table`, which all experiments have."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--table", action="store_true", help=f"write the tables in docs/{page} from the records")
    return made


def command(
    description: str | None,
    page: str,
    tables: Callable[[], Mapping[str, str]],
    run: Callable[[], None],
    tune: Callable[[], None] | None = None,
) -> None:
    """The command line of an experiment: it runs what is missing, or writes the tables from the records."""
    arguments = parser(description, page)
    if tune is not None:
        arguments.add_argument("--tune", action="store_true", help="compare settings on validation images")
    options = arguments.parse_args()
    if options.table:
        write(page, tables())
    elif tune is not None and options.tune:
        tune()
    else:
        run()
