"""What the reader chooses with: axes, claims, limits, words and columns. The page's script brings them to life."""

from collections.abc import Mapping, Sequence
from html import escape

from onchip.certificates import Claims
from onchip.report.claims import WORDS, stated
from onchip.report.columns import Column
from onchip.runs.record import Record

FORM = """<form id="choice" hidden aria-label="What is shown">
<div class="line">
<label>Up <select id="y" autocomplete="off">{up}</select></label>
<label>Across <select id="x" autocomplete="off">{across}</select></label>
<label>Scale <select id="scale" autocomplete="off"><option value="">automatic</option>\
<option value="linear">linear</option><option value="log">logarithmic</option></select></label>
</div>
<fieldset class="line"{no_claims}><legend>Only rules that claim</legend>{claims}</fieldset>
<fieldset class="line"><legend>Only rules within limits</legend>
<select id="limited" aria-label="Limited number" autocomplete="off">{limited}</select>
<select id="sign" aria-label="Kind of limit" autocomplete="off"><option value="&lt;=">at most</option>\
<option value="&gt;=">at least</option></select>
<input id="amount" aria-label="Amount" placeholder="1 MB" size="8" autocomplete="off" aria-describedby="wrong">
<button>Add limit</button>
<output id="wrong"></output>
<ul id="limits" aria-label="Limits"></ul>
</fieldset>
<div class="line">
<label>Named <input id="words" type="search" placeholder="words in a rule's name" autocomplete="off"></label>
<details class="columns"><summary>Columns</summary>{columns}</details>
<button type="reset">Start anew</button>
<a id="link" href="#">Link to this view</a>
<output id="found"></output>
</div>
</form>
<noscript><p>Choosing axes, columns and rules needs JavaScript; the tables show the usual columns.</p></noscript>
"""


def controls(columns: Sequence[Column], across: str, records: Sequence[Record]) -> str:
    """The form.

    Args:
        columns: every column of numbers of the page; a name may come more than once.
        across: name of the axis that costs are drawn along at first.
        records: all runs. A claim is offered if one of their rules states it.
    """
    unique = list({column.name: column for column in columns}.values())
    statements = {claim.name: claim.statement for claim in Claims.known()}
    made = {name for record in records for name in stated(record) or ()}
    claims = "".join(
        f'<label title="{escape(statements[name])}"><input type="checkbox" name="claim" value="{name}"'
        f' autocomplete="off" data-title="{escape(title)}" data-phrase="{escape(phrase)}"> {escape(title)}</label>\n'
        for name, (title, phrase) in WORDS.items()
        if name in made
    )
    about = {"seeds": "seeds", "chip": "verdict on the chip", "front": "front"}
    if not any("verdict" in record.chip for record in records):
        del about["chip"]
    return FORM.format(
        up=_options(unique, "test"),
        across=_options(unique, across),
        limited=_options(unique, "feedback"),
        claims=claims,
        no_claims="" if made else " hidden",
        columns=_boxes(unique, about),
    )


def _kinds(columns: Sequence[Column]) -> dict[str, list[Column]]:
    kinds: dict[str, list[Column]] = {}
    for column in columns:
        kinds.setdefault(column.kind, []).append(column)
    return kinds


def _options(columns: Sequence[Column], chosen: str) -> str:
    groups = []
    for kind, those in _kinds(columns).items():
        options = (
            f'<option value="{escape(c.name)}"{" selected" if c.name == chosen else ""}>{escape(c.head)}</option>'
            for c in those
        )
        groups.append(f'<optgroup label="{escape(kind)}">{"".join(options)}</optgroup>')
    return "".join(groups)


def _boxes(columns: Sequence[Column], about: Mapping[str, str]) -> str:
    kinds = {"About": [(name, text, True) for name, text in about.items()]} | {
        kind: [(c.name, c.head, c.shown) for c in those] for kind, those in _kinds(columns).items()
    }
    return "".join(
        f"<fieldset><legend>{escape(kind)}</legend>{''.join(_box(*item) for item in items)}</fieldset>\n"
        for kind, items in kinds.items()
    )


def _box(name: str, text: str, shown: bool) -> str:
    checked = " checked" if shown else ""
    return (
        f'<label><input type="checkbox" name="column" value="{escape(name)}" autocomplete="off"{checked}> '
        f"{escape(text)}</label>\n"
    )
