"""The report as one HTML page that needs no network and no other file."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from xml.etree import ElementTree

from onchip._text import printable
from onchip.report.drawing import Looks, outline
from onchip.report.figures import KEY, Drawn, figures
from onchip.report.groups import Group
from onchip.report.summary import summarize
from onchip.report.table import NOTE, Cell, Table, table
from onchip.runs.record import Record

SVG, LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
FOLDER = Path(__file__).parent / "web"
HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<h1>{title}</h1>
"""
BAR = """<div class="bar">
<div class="filter" role="search">
<label for="filter">Show only</label>
<input id="filter" type="search" placeholder="words in a rule's name" autocomplete="off">
<output id="found" for="filter"></output>
</div>
{legend}</div>
"""
MARK = (
    '<svg viewBox="-2 -1 4 2" aria-hidden="true"><path d="M-2 0H2" stroke="{color}" stroke-width=".3"/>'
    '<path d="{outline}" fill="{color}"/></svg>'
)


def page(groups: Sequence[Group], left_out: Sequence[str] = (), *, hardware: Sequence[str] = ()) -> str:
    """The report's page. The same runs give the same page.

    Nothing in it is fetched, and whatever a record holds is shown as text: the page's own policy forbids all
    scripts but the one that sorts and filters.

    Args:
        groups: runs that may be compared; at least one group.
        left_out: what could not be read, and why; shown above all else.
        hardware: energy tables, each a column and a figure; if empty, the first that the records name.

    Raises:
        RequestError: there is no such energy table.
    """
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(f"\n{script}".encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    runs = sum(len(group.records) for group in groups)
    title = f"onchip: {runs} {'run' if runs == 1 else 'runs'}"
    looks = Looks.of([rule.label for group in groups for rule in summarize(group.good)], legend=False)
    pieces = [
        HEAD.format(policy=policy, title=title, style=(FOLDER / "page.css").read_text(encoding="utf-8")),
        _left_out(left_out),
        _contents(groups),
        BAR.format(legend=_legend(looks)),
        *(_section(group, number, looks, hardware) for number, group in enumerate(groups, start=1)),
        f"<footer><p>{escape(NOTE)}</p></footer>\n",
        f"<script>\n{script}</script>\n</body>\n</html>\n",
    ]
    return printable("".join(pieces))


def _left_out(messages: Sequence[str]) -> str:
    if not messages:
        return ""
    items = "".join(f"<li>{escape(message)}</li>" for message in messages)
    return f'<div class="left-out" role="note"><p>Left out:</p><ul>{items}</ul></div>\n'


def _contents(groups: Sequence[Group]) -> str:
    if len(groups) == 1:
        return ""
    items = "".join(f'<li><a href="#runs-{n}">{escape(group.title)}</a></li>' for n, group in enumerate(groups, 1))
    return (
        "<nav><p>These runs differ in more than rule and seed. They are shown apart, and never averaged together."
        f"</p><ol>{items}</ol></nav>\n"
    )


def _legend(looks: Looks) -> str:
    """The marks of all rules, once for all figures of the page."""
    items = []
    for label in looks.numbers:
        color = looks.color(label).replace("#000000", "currentColor")  # black, or white when dark
        mark = MARK.format(color=color, outline=outline(looks.marker(label)))
        items.append(f'<li data-text="{escape(label)}">{mark}{_breakable(label)}</li>')
    return f'<ul class="legend" aria-label="Legend of all figures">{"".join(items)}</ul>\n' if items else ""


def _section(group: Group, number: int, looks: Looks, hardware: Sequence[str]) -> str:
    drawn = figures(group.records, looks, hardware=hardware)
    main, more = (
        "".join(_figure(one, f"f{number}-{n}-") for n, one in enumerate(drawn) if one.detail == detail)
        for detail in (False, True)
    )
    runs = "".join(map(_run, group.records))
    pieces = [
        f'<section id="runs-{number}">\n<h2>{escape(group.title)}</h2>\n',
        _table(table(group.records, hardware=hardware)),
        f'<p class="faint">{escape(KEY)}</p>\n<div class="figures">\n{main}</div>\n' if main else "",
        _details("More figures", f'<div class="figures">\n{more}</div>') if more else "",
        _details("Settings that these runs share", _pairs(group.settings)),
        _details(f"The {len(group.records)} runs: options, versions, counts", runs),
        "</section>\n",
    ]
    return "".join(pieces)


def _details(summary: str, content: str) -> str:
    return f"<details><summary>{summary}</summary>{content}</details>\n"


def _figure(drawn: Drawn, prefix: str) -> str:
    drawing = _inline(drawn.content("svg", transparent=True), prefix, drawn.caption)
    return f"<figure>{drawing}<figcaption>{escape(drawn.caption)}</figcaption></figure>\n"


def _table(made: Table) -> str:
    numeric = [any(row[column].spread for row in made.rows) for column in range(len(made.header))]
    heads = "".join(
        f'<th scope="col" data-kind="{"number" if is_number else "text"}"><button type="button">{escape(name)}'
        "</button></th>"
        for name, is_number in zip(made.header, numeric, strict=True)
    )
    front = made.header.index("Pareto") if "Pareto" in made.header else None
    rows = []
    for row in made.rows:
        best = ' class="front"' if front is not None and row[front].text else ""
        cells = "".join(f'<td data-value="{_key(cell)}">{_breakable(cell.text)}</td>' for cell in row)
        rows.append(f'<tr data-text="{escape(row[0].text)}"{best}>{cells}</tr>\n')
    return (
        f'<div class="scroll" tabindex="0"><table class="sortable"><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{''.join(rows)}</tbody></table></div>\n"
        + "".join(f'<p class="unpriced">{escape(line)}</p>\n' for line in made.unpriced)
    )


def _breakable(text: str) -> str:
    """Text that may go on in the next line after a sign between options."""
    return re.sub("([;=])", r"\1<wbr>", escape(text))


def _key(cell: Cell) -> str:
    """What a cell is sorted by; empty goes last."""
    if cell.spread is not None:
        return repr(cell.spread.mean)
    return "" if cell.text == "-" else escape(cell.text)


def _run(record: Record) -> str:
    accuracy = record.test_accuracy
    result = f"failed: {record.error}" if accuracy is None else f"test {100 * accuracy:.2f} %"
    name = f"{record.title}, seed {record.seed}"
    facts = {
        **{f"option {key}": value for key, value in record.options.items()},
        **{f"chip {key}": value for key, value in record.chip.items()},
        "parameters": record.parameters,
        "epochs trained": len(record.history),
        "weights of epoch": record.selected_epoch,
        "started": record.started,
        "seconds": round(record.seconds, 2),
        "device": f"{record.device}, {record.device_name}, {record.threads} threads",
        **record.versions,
        **{key.replace("_", " "): value for key, value in record.ledger.items()},
    }
    return (
        f'<details data-text="{escape(record.label)}"><summary>{escape(name)}: {escape(result)}</summary>'
        f"{_pairs(facts)}</details>\n"
    )


def _pairs(values: Mapping[str, object]) -> str:
    return f"<dl>{''.join(_pair(name, value) for name, value in values.items())}</dl>"


def _pair(name: str, value: object) -> str:
    shown = "-" if value is None else f"{value:,}" if isinstance(value, (int, float)) else str(value)
    return f"<dt>{escape(name)}</dt><dd>{escape(shown)}</dd>"


def _inline(content: bytes, prefix: str, name: str) -> str:
    """An `<svg>` element for an HTML page.

    Args:
        content: an SVG file that this package has drawn.
        prefix: put before every id, so that ids of several drawings differ.
        name: what the drawing shows, for readers who do not see it.
    """
    root = ElementTree.fromstring(content)
    for unused in root.findall(f"{{{SVG}}}metadata"):
        root.remove(unused)
    for element in root.iter():
        for key, value in element.attrib.items():
            element.set(key, _renamed(key, value, prefix))
    del root.attrib["width"], root.attrib["height"]  # the page decides; the view box keeps the proportions
    root.set("role", "img")
    root.set("aria-label", name)
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", LINK)
    return ElementTree.tostring(root, encoding="unicode")


def _renamed(key: str, value: str, prefix: str) -> str:
    if key == "id":
        return prefix + value
    if key == f"{{{LINK}}}href":
        return value.replace("#", f"#{prefix}", 1)
    if key in ("d", "x", "y"):
        return re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", value)  # no screen shows more
    return value.replace("url(#", f"url(#{prefix}").replace("#000000", "currentColor")  # black, or white when dark
