"""Records -> table and figure; certificates -> Markdown. Nothing here imports torch."""

from onchip.report.certificates import certificates
from onchip.report.figure import figure
from onchip.report.table import HEADER, NOTE, failures, markdown, rows
from onchip.summary import title

__all__ = ["HEADER", "NOTE", "certificates", "failures", "figure", "markdown", "rows", "title"]
