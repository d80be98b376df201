"""Records -> table and figure. Nothing here imports torch."""

from onchip.report.figure import figure
from onchip.report.table import HEADER, NOTE, failures, markdown, rows
from onchip.summary import title

__all__ = ["HEADER", "NOTE", "failures", "figure", "markdown", "rows", "title"]
