"""The README's table is that of a committed record."""

from pathlib import Path

from onchip.report import FEW, as_markdown
from onchip.runs import record

ROOT = Path(__file__).parents[1]


def cells(text: str) -> list[list[str]]:
    """The rows of the first Markdown table in a text."""
    lines = text.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("| rule"))
    rows = []
    for line in lines[begin:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return [rows[0], *rows[2:]]


def test_the_readmes_table_is_that_of_a_committed_record() -> None:
    records = record.read(ROOT / "experiments" / "readme" / "records.jsonl")
    assert all(made.clean for one in records for made in one.provenance)
    printed = cells(as_markdown(records, columns=FEW))
    assert cells((ROOT / "README.md").read_text(encoding="utf-8")) == printed
