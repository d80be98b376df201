"""What can be said of the page without a browser; see `test_browser` for the rest."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

from onchip import report
from onchip.report.page import FOLDER, LIBRARY
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
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert len(digests) == text.count("<script") == 2
    (policy,) = (a["content"] or "" for _, a in tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert policy.endswith(f"script-src 'sha256-{digests[0]}' 'sha256-{digests[1]}'")
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


def test_the_library_is_the_published_one_with_its_license() -> None:
    script = (FOLDER / LIBRARY).read_bytes()
    assert hashlib.sha256(script).hexdigest() == "912111098ea99503a6f4967361d2bbdc9dbf58cf9c678c8e27e5b02d1a07f0c1"
    assert b"d3js.org v7.9.2" in script[:100]
    assert "Mike Bostock" in (FOLDER / "d3.LICENSE").read_text(encoding="utf-8")


def test_rules_have_marks_of_their_own_in_table_and_legend() -> None:
    first = [record(f"rule-{rule}", seed) for rule in range(9) for seed in range(2)]
    text = page(*first, record("rule-8", data="mnist"), record("late", data="mnist"), record("dead", accuracy=None))
    legends = re.findall(r'<ul class="legend".*?</ul>', text, re.DOTALL)
    labels = [re.findall(r"</svg>([\w-]+)</li>", legend) for legend in legends]
    assert labels == [[f"rule-{rule}" for rule in range(9)], ["rule-8", "late"]]
    marks = dict(re.findall(r'(<path d="[^"]+" fill="[^"]+"/>)</svg>([\w-]+)</li>', "".join(legends)))
    assert len(set(marks.values())) == len(marks) == 10
    for mark, label in marks.items():
        assert f"{mark}</svg>{label}</th>" in text
    figures = "".join(re.findall(r"<figure>.*?</figure>", text, re.DOTALL))
    assert "rule-" not in figures
    assert "late" not in figures


def test_every_count_energy_and_time_may_be_chosen() -> None:
    counts = {"spikes": 5, "feedback_memory": 3, "acs_forward": 6, "macs_forward": 1, "acs_error": 2, "macs_error": 1}
    tags = Tags(page(record("bp", ledger={**record().ledger, **counts}), record("fa", accuracy=None))).found
    offered = {a["value"]: "checked" in a for tag, a in tags if tag == "input" and a.get("name") == "column"}
    assert {"test", "validation", "weights", "products", "feedback", "speed", "seconds", "spikes"} <= set(offered)
    assert {name for name, shown in offered.items() if shown} == {"seeds", "front", "test", "weights"}
    assert {f"energy-{name}" for name in ("seneca", "odin", "spinnaker2")} <= set(offered)
    heads = {a["data-column"] for tag, a in tags if tag == "th" and "data-column" in a}
    assert heads == {"rule", *offered}
    axes = {a["value"] for tag, a in tags if tag == "option"} - {"", "linear", "log", "<=", ">="}
    assert axes == set(offered) - {"seeds", "front"}


def test_a_claim_is_offered_if_a_rule_states_it() -> None:
    tags = Tags(page(record("bp", claims=("online",)), record("fa", claims=None, rule="unheard-of"))).found
    assert [a["value"] for tag, a in tags if tag == "input" and a.get("name") == "claim"] == ["online"]
    rows = [a for tag, a in tags if tag == "tr" and "data-text" in a]
    assert [row.get("data-claims") for row in rows] == ["online", None], "the other's are not known"


def test_a_rule_looks_the_same_in_all_groups() -> None:
    text = page(record("a"), record("b"), record("b", data="mnist"), record("c", data="mnist"))
    figures = re.findall(r'id="runs-2">.*?</section>', text, re.DOTALL)[0]
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
