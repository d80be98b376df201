"""Records -> tables, figures and a page; certificates -> Markdown. Nothing here imports torch."""

from onchip.report.certificates import certificates
from onchip.report.drawing import KINDS
from onchip.report.figures import figure, figures
from onchip.report.folder import write
from onchip.report.groups import Group, gather, grouped, once
from onchip.report.markdown import markdown_table
from onchip.report.page import page
from onchip.report.summary import title
from onchip.report.table import COLUMNS, FEW, NOTE, Table, as_csv, as_latex, as_markdown, failures, note, table

__all__ = [
    "COLUMNS",
    "FEW",
    "KINDS",
    "NOTE",
    "Group",
    "Table",
    "as_csv",
    "as_latex",
    "as_markdown",
    "certificates",
    "failures",
    "figure",
    "figures",
    "gather",
    "grouped",
    "markdown_table",
    "note",
    "once",
    "page",
    "table",
    "title",
    "write",
]
