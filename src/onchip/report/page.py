"""The report as one HTML page that needs no network and no other file."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from xml.etree import ElementTree

from onchip._text import printable
from onchip.report.columns import Column, columns
from onchip.report.controls import controls
from onchip.report.costs import traffic
from onchip.report.drawing import RULE, Looks
from onchip.report.figures import CURVES, Drawn, curves
from onchip.report.groups import Group
from onchip.report.rows import breakable, mark, rows
from onchip.report.summary import Summary, summarize
from onchip.report.table import NOTE
from onchip.runs.record import Record

SVG, LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
FOLDER = Path(__file__).parent / "web"
LIBRARY = "d3.min.js"
"""D3 7.9.2 as it is published, with its license beside it; `tests/report/test_page.py` knows its SHA-256."""
SCRIPTS = ("state.js", "rules.js", "answer.js", "plot.js", "tip.js", "table.js", "page.js")
"""Ours, in the order in which they need one another."""
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
PLOT = """<p class="answer" aria-live="polite"></p>
<div class="stage"><figure class="plot" hidden><div class="up-label" aria-hidden="true"></div><svg role="group"></svg>\
<div class="across-label" aria-hidden="true"></div><figcaption>Rings: mean over seeds, with bars of one standard \
deviation; dots: single seeds; dashed: the front. Of rings at one place, each is wider than the next. The table has \
the same numbers.</figcaption></figure><div class="tip" aria-hidden="true" hidden></div></div>
"""


def page(groups: Sequence[Group], left_out: Sequence[str] = (), *, hardware: Sequence[str] = ()) -> str:
    """The report's page. The same runs give the same page.

    Nothing in it is fetched, and whatever a record holds is shown as text: the page's own policy forbids all
    scripts but its own two, the plotting library and what makes tables and plots follow the reader's choice.

    Args:
        groups: runs that may be compared; at least one group.
        left_out: what could not be read, and why; shown above all else.
        hardware: energy tables whose columns are shown at first; if empty, the first that the records name.

    Raises:
        RequestError: there is no such energy table.
    """
    ours = "".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    scripts = [(FOLDER / LIBRARY).read_text(encoding="utf-8"), f'(() => {{\n"use strict";\n{ours}}})();\n']
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {hashes}"
    runs = sum(len(group.records) for group in groups)
    title = f"onchip: {runs} {'run' if runs == 1 else 'runs'}"
    looks = Looks.of([rule.label for group in groups for rule in summarize(group.good)], legend=False)
    summaries = [summarize(group.records) for group in groups]
    found = [columns(group.good, own, hardware) for group, own in zip(groups, summaries, strict=True)]
    pieces = [
        HEAD.format(policy=policy, title=title, style=(FOLDER / "page.css").read_text(encoding="utf-8")),
        _left_out(left_out),
        _contents(groups),
        controls(
            [column for own in found for column in own],
            _across(found, summaries),
            [record for group in groups for record in group.records],
        ),
        *(
            _section(group, number, looks, own, offered)
            for number, (group, own, offered) in enumerate(zip(groups, summaries, found, strict=True), start=1)
        ),
        f"<footer><p>{escape(NOTE)}</p></footer>\n",
        *(f"<script>{script}</script>\n" for script in scripts),
        "</body>\n</html>\n",
    ]
    return printable("".join(pieces))


def _across(found: Sequence[Sequence[Column]], summaries: Sequence[Sequence[Summary]]) -> str:
    """Name of the first column of costs that some rule pays, which is the axis before another is chosen."""
    offered = [(column, rule) for own, rules in zip(found, summaries, strict=True) for column in own for rule in rules]
    paid = {column.name for column, rule in offered if (spread := column.of(rule)) and spread.mean > 0}
    return next((name for name in ("bits", "weights", "operations", "products") if name in paid), "test")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


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


def _section(group: Group, number: int, looks: Looks, summaries: Sequence[Summary], offered: Sequence[Column]) -> str:
    drawn = curves(group.records, looks)
    main, more = (
        "".join(_figure(one, f"f{number}-{n}-") for n, one in enumerate(drawn) if one.detail == detail)
        for detail in (False, True)
    )
    legend = _legend([summary.label for summary in summaries], looks)
    runs = "".join(map(_run, group.records))
    pieces = [
        f'<section class="group" id="runs-{number}">\n<h2>{escape(group.title)}</h2>\n{PLOT}',
        rows(summaries, offered, looks, traffic(group.good), group.records),
        f'<h3>Training</h3>\n<p class="faint">{escape(CURVES)}</p>\n{legend}' if main else "",
        f'<div class="figures">\n{main}</div>\n' if main else "",
        _details("More figures", f'<div class="figures">\n{more}</div>') if more else "",
        _details("Settings that these runs share", _pairs(group.settings)),
        _details(f"The {len(group.records)} runs: options, versions, counts", runs),
        "</section>\n",
    ]
    return "".join(pieces)


def _legend(labels: Sequence[str], looks: Looks) -> str:
    """The marks of the rules, for all curves of a group."""
    items = [
        f'<li data-rule="{looks.numbers[label]}">{mark(looks, label)}{breakable(label)}</li>'
        for label in labels
        if label in looks.numbers
    ]
    return f'<ul class="legend" aria-label="Legend of these figures">{"".join(items)}</ul>\n'


def _details(summary: str, content: str) -> str:
    return f"<details><summary>{summary}</summary>{content}</details>\n"


def _figure(drawn: Drawn, prefix: str) -> str:
    drawing = _inline(drawn.content("svg", transparent=True), prefix, drawn.caption)
    return f"<figure>{drawing}<figcaption>{escape(drawn.caption)}</figcaption></figure>\n"


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
        if (name := element.get("id", "")).startswith(RULE):  # of every line of a rule, to hide them by
            element.set("data-rule", name.removeprefix(RULE))
            del element.attrib["id"]
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
