"""The table of a group on the page: every column that may be chosen, from which the page's script reads."""

import re
from collections.abc import Sequence
from html import escape

from onchip.report import on_chip
from onchip.report.claims import stated
from onchip.report.columns import Column
from onchip.report.costs import Cost
from onchip.report.drawing import Looks, outline
from onchip.report.energy import unpriced
from onchip.report.summary import Summary, on_front
from onchip.runs.record import Record

MARK = '<svg viewBox="-1.2 -1 2.4 2" aria-hidden="true"><path d="{outline}" fill="{color}"/></svg>'
ABOUT = {"seeds": "seeds", "chip": "chip", "front": "front"}
"""Columns of words, and their heads."""


def rows(
    summaries: Sequence[Summary], columns: Sequence[Column], looks: Looks, across: Cost, records: Sequence[Record]
) -> str:
    """The table as HTML; columns that are not shown at first are hidden.

    Args:
        summaries: the rules.
        columns: every column of numbers.
        looks: the marks of the rules.
        across: the cost that the front is drawn against before anything is chosen.
        records: the runs.
    """
    best = {summary.label for summary in on_front(summaries, across)}
    words = {
        "seeds": [summary.seeds for summary in summaries],
        "chip": [on_chip.verdict(summary) for summary in summaries],
        "front": ["yes" if summary.label in best else "" for summary in summaries],
    }
    about = {name: texts for name, texts in words.items() if name != "chip" or any(texts)}
    heads = [_head("rule", "rule", "text")]
    heads += [_head(name, on_chip.head(records) if name == "chip" else ABOUT[name], "text") for name in about]
    heads += [_number_head(column) for column in columns]
    lines = []
    for place, summary in enumerate(summaries):
        cells = [_cell(ABOUT[name], escape(texts[place])) for name, texts in about.items()]
        cells += [_number(column, summary) for column in columns]
        lines.append(f"{_row(summary, looks, summary.label in best)}{''.join(cells)}</tr>\n")
    left_out = [
        f'<p class="unpriced" data-column="{escape(c.name)}"{_hidden(c)}>{escape(line)}</p>\n'
        for c in columns
        if c.table
        for line in unpriced(summaries, [Cost(c.name, None, None, lambda _: None, table=c.table)])
    ]
    return (
        '<div class="scroll" tabindex="0" role="group" aria-label="Table of the rules"><table role="table">'
        f'<thead role="rowgroup"><tr role="row">{"".join(heads)}</tr></thead>\n'
        f'<tbody role="rowgroup">\n{"".join(lines)}</tbody></table></div>\n{"".join(left_out)}'
    )


def _head(name: str, text: str, kind: str, more: str = "") -> str:
    return (
        f'<th role="columnheader" scope="col" data-column="{escape(name)}" data-kind="{kind}"{more}>'
        f'<button type="button">{escape(text)}</button></th>'
    )


def _number_head(column: Column) -> str:
    percent = ' data-percent=""' if column.percent else ""
    facts = (
        f' data-noun="{escape(column.noun)}" data-unit="{escape(column.unit)}" data-better="{column.better}"{percent}'
    )
    return _head(column.name, column.head, "number", facts + _hidden(column))


def _hidden(column: Column) -> str:
    return "" if column.shown else " hidden"


def _row(summary: Summary, looks: Looks, best: bool) -> str:
    """A row's start: the rule with all that a reader may filter by, and its mark."""
    claims = {stated(record) for record in summary.runs}
    known = None if None in claims or len(claims) != 1 else " ".join(claims.pop() or ())
    number = looks.numbers.get(summary.label)
    facts = {
        "text": summary.label,
        "claims": known,
        "options": options(summary),
        "rule": None if number is None else str(number),
    }
    data = "".join(f' data-{name}="{escape(value)}"' for name, value in facts.items() if value is not None)
    return (
        f'<tr role="row"{data}{" class=best" if best else ""}><th role="rowheader" scope="row">'
        f"{mark(looks, summary.label)}{breakable(summary.label)}</th>"
    )


def options(summary: Summary) -> str:
    """All options of a rule, those that were not given too."""
    return ", ".join(f"{name}={value}" for name, value in summary.runs[0].options.items())


def mark(looks: Looks, label: str) -> str:
    """A rule's mark; without a run that succeeded it has none in figures."""
    if label not in looks.numbers:
        return MARK.format(color="none", outline="M0 0")
    color = looks.color(label).replace("#000000", "currentColor")  # black, or white when dark
    return MARK.format(color=color, outline=outline(looks.marker(label)))


def breakable(text: str) -> str:
    """Text that may go on in the next line after a sign between options."""
    return re.sub("([;=])", r"\1<wbr>", escape(text))


def _number(column: Column, summary: Summary) -> str:
    spread = column.of(summary)
    if spread is None:
        return _cell(column.head, "-", _hidden(column))
    deviation = "" if spread.deviation is None else repr(spread.deviation)
    seeds = " ".join(map(repr, spread.values))
    data = f' data-mean="{spread.mean!r}" data-deviation="{deviation}" data-seeds="{seeds}"{_hidden(column)}'
    return _cell(column.head, escape(column.text(spread)), data)


def _cell(head: str, text: str, more: str = "") -> str:
    return f'<td role="cell" data-head="{escape(head)}"{more}>{text}</td>'
