"""What can be said of the page without a browser; see `test_browser` for the rest."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

from onchip import report
from onchip.runs.record import Record
from tests.examples import record

HOSTILE = "<img src=x onerror=alert(1)>\"'&"


class Tags(HTMLParser):
    """Every tag of a page with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def page(*records: Record) -> str:
    return report.page(report.grouped(records))


def test_the_same_runs_give_the_same_page() -> None:
    assert page(record(), record("fa")) == page(record(), record("fa"))


def test_nothing_is_fetched_and_no_other_script_runs() -> None:
    text = page(record(), record("fa"))
    tags = Tags(text).found
    for _, attributes in tags:
        links = [attributes.get(name) or "#" for name in ("src", "href", "xlink:href")]
        assert all(link.startswith(("#", "data:,")) for link in links)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = (a["content"] or "" for _, a in tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}'" in policy
    assert "url(http" not in text


def test_what_a_record_holds_is_text() -> None:
    named = record(HOSTILE, network=HOSTILE, options={HOSTILE: HOSTILE}, settings={HOSTILE: HOSTILE})
    failed = record(HOSTILE, seed=1, accuracy=None, network=HOSTILE, versions={HOSTILE: HOSTILE})
    tags = Tags(report.page(report.grouped([named, failed]), [HOSTILE])).found
    assert "img" not in {tag for tag, _ in tags}
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]


def test_ids_are_unique_over_all_figures() -> None:
    tags = Tags(page(record(), record("fa"), record(data="mnist"))).found
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids)) > 20


def test_one_legend_serves_all_figures_of_a_page() -> None:
    first = [record(f"rule-{rule}", seed) for rule in range(9) for seed in range(2)]
    text = page(*first, record("rule-8", data="mnist"), record("late", data="mnist"), record("dead", accuracy=None))
    (legend,) = re.findall(r'<ul class="legend".*?</ul>', text, re.DOTALL)
    assert re.findall(r"</svg>([\w-]+)</li>", legend) == [*(f"rule-{rule}" for rule in range(9)), "late"]
    marks = re.findall(r'<path d="([^"]+)" fill="([^"]+)"', legend)
    assert len(set(marks)) == len(marks) == 10
    figures = "".join(re.findall(r"<figure>.*?</figure>", text, re.DOTALL))
    assert "rule-" not in figures
    assert "late" not in figures


def test_a_rule_looks_the_same_in_all_groups() -> None:
    text = page(record("a"), record("b"), record("b", data="mnist"), record("c", data="mnist"))
    figures = re.findall(r'<section id="runs-2">.*?</section>', text, re.DOTALL)[0]
    colors = set(re.findall(r"stroke: (#\w{6})", figures.lower()))
    assert {"#d55e00", "#009e73"} <= colors
    assert "#0072b2" not in colors


def test_a_hundred_runs_stay_below_ten_megabytes() -> None:
    runs = [record(f"rule:option={index % 34}", seed=index // 34, accuracy=0.5 + index / 300) for index in range(100)]
    assert len(page(*runs).encode()) < 10e6


def test_no_output_holds_what_is_not_seen() -> None:
    unseen = {*map(chr, [*range(10), *range(11, 32), *range(0x7F, 0xA0), 0x202E, 0x200F])}
    name = "".join(sorted(unseen)) + "\ud800end"
    ledger = {**record().ledger, f"energy_pj_{name}$\\frac$": 5}
    named = record(name, network=name, options={name: name}, settings={name: name}, ledger=ledger)
    groups = report.grouped([named, record("fa", accuracy=None, network=name), record("fa", network=name)])
    texts = [report.page(groups, [name]), report.as_csv(groups), report.as_latex(groups)]
    texts += [report.as_markdown(group.records, group.title) for group in groups]
    texts += [drawn.content("svg").decode() for group in groups for drawn in report.figures(group.records)]
    for text in texts:
        assert not {*text} & unseen
        text.encode()
