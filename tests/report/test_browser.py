"""The page in a real browser, where Chromium, its driver and selenium are found."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from onchip import report
from onchip.report.columns import columns
from onchip.report.summary import front, summarize
from onchip.runs.record import Record, read
from tests.examples import record

selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install -e '.[dev]'")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs chromium and chromedriver on the PATH")

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
ROOT = Path(__file__).parents[2]
HOSTILE = "<script>document.title = 'run'</script>&amp;\"'"
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = selenium.ChromeOptions()
    options.binary_location = BROWSER
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('browser')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = selenium.Chrome(options=options, service=selenium.ChromeService(DRIVER))
    driver.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
    yield driver
    driver.quit()


@pytest.fixture
def opened(driver: Any, tmp_path: Path) -> Iterator[Open]:
    """A page of these records, open; afterwards: nothing was said on the console, nothing was fetched."""

    def open_page(records: list[Record], width: int = 1200, view: str = "") -> Any:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        file = tmp_path / "report.html"
        file.write_text(report.page(report.grouped(records), ["some.jsonl, line 3: <i>half</i>"]), encoding="utf-8")
        driver.get("about:blank")  # another fragment alone is no new page
        driver.get(f"{file.as_uri()}{view}")
        return driver

    driver.get_log("browser")
    yield open_page
    assert driver.get_log("browser") == []
    assert driver.execute_script("return performance.getEntriesByType('resource').length") == 0


def rules(driver: Any) -> list[str]:
    """The rules that are shown, over all tables."""
    script = "return [...document.querySelectorAll('tbody tr:not([hidden])')].map(row => row.cells[0].innerText)"
    return list(driver.execute_script(script))


def marks(driver: Any, kind: str = "mark") -> list[str]:
    """The rules in the plots, by the words that describe their marks."""
    script = f"return [...document.querySelectorAll('g.{kind}')].map(mark => mark.getAttribute('aria-label'))"
    return [words.rpartition(": ")[0] for words in driver.execute_script(script)]


def said(driver: Any) -> str:
    return str(driver.find_element("css selector", ".answer").text)


def pick(driver: Any, name: str, value: str) -> None:
    """Choose from a list as a reader does."""
    driver.find_element("css selector", f"#{name} option[value='{value}']").click()


def tick(driver: Any, name: str, *values: str) -> None:
    for value in values:
        driver.find_element("css selector", f"input[name='{name}'][value='{value}']").click()


def press(driver: Any, head: str, key: str | None = None) -> None:
    """Press a column's head, by mouse or by a key."""
    (button,) = [b for b in driver.find_elements("css selector", "th button") if b.text.startswith(head)]
    if key is None:
        button.click()
    else:
        button.send_keys(key)


RUNS = [
    record("fbp:period=10", accuracy=0.91),
    record("bp", accuracy=0.1),
    record("bp", seed=1, accuracy=0.3),
    record("fbp:period=9", accuracy=0.5),
    record("fa", accuracy=None),
]


@dataclass(frozen=True)
class Made:
    """A rule of `ASKED`: test accuracy of two seeds, bits per step, numbers of feedback memory, and claims."""

    accuracies: tuple[float, float]
    bits: int
    memory: int
    claims: tuple[str, ...] | None
    speed: float

    def records(self, label: str) -> list[Record]:
        counts = {"transport_value_bits": 10 * self.bits, "transport_index_bits": 0, "feedback_memory": self.memory}
        return [
            record(
                label,
                seed,
                accuracy,
                rule=label,
                claims=self.claims,
                options={"period": 7, "kind": label.upper()},
                ledger={**record().ledger, **counts},
                samples_per_second=self.speed,
            )
            for seed, accuracy in enumerate(self.accuracies)
        ]


ASKED = {
    "bp": Made((0.97, 0.99), 5000, 0, (), 100),
    "fbp": Made((0.96, 0.98), 40, 900_000, ("separate_feedback",), 90),
    "opzo": Made((0.95, 0.955), 0, 100_000, ("no_weight_transport", "backward_unlocked", "online"), 50),
    "dkp": Made((0.949, 0.957), 0, 200_000, ("no_weight_transport", "backward_unlocked", "online"), 400),
    "dfa": Made((0.90, 0.91), 0, 300_000, ("no_weight_transport", "backward_unlocked", "online"), 800),
    "fa": Made((0.94, 0.96), 0, 950_000, ("no_weight_transport",), 95),
    "hers": Made((0.5, 0.6), 10, 10, None, 10),
}
QUESTION = [one for label, made in ASKED.items() for one in made.records(label)]


def test_answers_a_question_in_words(opened: Open) -> None:
    driver = opened(QUESTION)
    assert said(driver) == (
        "Of the 7 rules, bp has the highest test accuracy: 98.00 ± 1.41 % over 2 seeds. Within its standard deviation: "
        "fbp (97.00 ± 1.41). On the Pareto front of test accuracy and bits transported per training step: dkp, fbp and "
        "bp."
    )
    tick(driver, "claim", "backward_unlocked")
    assert rules(driver) == ["opzo", "dkp", "dfa"]
    amount = driver.find_element("id", "amount")
    amount.send_keys("much\n")
    assert "expected one such as 500k" in driver.find_element("id", "wrong").text
    amount.clear()
    amount.send_keys("0.5 MB\n")
    assert driver.find_element("id", "wrong").text == ""
    assert rules(driver) == ["opzo"]
    assert said(driver).startswith(
        "The only rule without a backward phase and with feedback memory of at most 500k bytes is opzo: test accuracy "
        "95.25 ± 0.35 % over 2 seeds."
    )
    assert said(driver).endswith("What 1 rule claims is not known.")
    driver.find_element("css selector", "#limits button").click()
    pick(driver, "x", "speed")
    assert marks(driver, "best") == ["dkp", "dfa"], "more samples per second are better"
    tick(driver, "claim", "separate_feedback")
    assert rules(driver) == []
    assert said(driver).startswith(
        "There are no rules without symmetric feedback and without a backward phase among these 7 rules."
    )
    assert not driver.find_element("css selector", ".plot").is_displayed()
    driver.find_element("css selector", "button[type=reset]").click()
    assert len(rules(driver)) == 7


def test_the_sentence_in_the_docs_is_that_of_the_readmes_runs(opened: Open) -> None:
    runs = read(ROOT / "experiments" / "readme" / "records.jsonl")
    driver = opened(runs, view="#claim=no_weight_transport&x=operations")
    quoted = re.findall(r"^> (.*)$", (ROOT / "docs" / "report.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert said(driver) == " ".join(quoted)


def test_the_front_is_that_of_the_axes(opened: Open) -> None:
    driver = opened(QUESTION)
    summaries = summarize(QUESTION)
    offered = {column.name: column for column in columns(QUESTION, summaries)}
    for x, y in [("bits", "test"), ("speed", "test"), ("feedback", "speed"), ("test", "bits")]:
        pick(driver, "x", x)
        pick(driver, "y", y)
        across, up = ([s.mean for rule in summaries if (s := offered[name].of(rule))] for name in (x, y))
        if offered[x].better == "high":
            across = [-value for value in across]
        if offered[y].better == "low":
            up = [-value for value in up]
        expected = {summaries[place].label for place in front(list(zip(across, up, strict=True)))}
        assert set(marks(driver, "best")) == expected
        assert set(marks(driver)) == set(ASKED)
        table = "return [...document.querySelectorAll('tr.best')].map(row => row.dataset.text)"
        assert set(driver.execute_script(table)) == expected


def test_a_view_is_shared_by_its_address(opened: Open) -> None:
    driver = opened(QUESTION)
    pick(driver, "y", "speed")
    pick(driver, "scale", "log")
    driver.find_element("css selector", ".columns summary").click()
    tick(driver, "column", "seeds", "feedback_memory")
    tick(driver, "claim", "online")
    driver.find_element("id", "words").send_keys("d")
    press(driver, "feedback memory")
    shown, words, address = rules(driver), said(driver), driver.current_url
    heads = [head.text for head in driver.find_elements("css selector", "thead th") if head.text]
    assert shown == ["dfa", "dkp"]
    assert driver.find_element("id", "link").get_attribute("href") == address
    driver = opened(QUESTION, view=address[address.index("#") :])
    assert (rules(driver), said(driver)) == (shown, words)
    assert [head.text for head in driver.find_elements("css selector", "thead th") if head.text] == heads
    driver = opened(QUESTION, view="#x=nothing&column=<b>&claim=good&limit=test<=x&sort=-none&y=speed")
    missing = driver.find_element("id", "found").text
    assert missing == "The address names what this page does not have: nothing, none, <b>, good."
    assert len(marks(driver)) == 7


def test_a_rule_is_described_under_the_pointer_and_with_the_focus(opened: Open) -> None:
    driver = opened(QUESTION)
    tip = driver.find_element("css selector", ".tip")
    assert not tip.is_displayed()
    first = driver.find_element("css selector", "g.mark[tabindex='0']")
    first.send_keys("\ue010")  # end
    assert tip.text.splitlines()[0] == "bp"
    assert "bits transported / step\n5k" in tip.text
    assert "Options: period=7, kind=BP." in tip.text
    last = driver.switch_to.active_element
    assert last.get_attribute("aria-label") == (
        "bp: test accuracy 98.00 ± 1.41 %, bits transported per training step 5k, on the Pareto front"
    )
    last.send_keys("\ue012")  # left
    assert tip.text.splitlines()[0] == "fbp"
    assert driver.find_element("css selector", "tr.lit").get_attribute("data-text") == "fbp"
    driver.switch_to.active_element.send_keys("\ue00c")  # escape
    assert not tip.is_displayed()
    opzo = next(m for m in driver.find_elements("css selector", "g.mark") if "opzo" in m.get_attribute("aria-label"))
    selenium.ActionChains(driver).move_to_element(opzo.find_element("css selector", ".ring")).perform()
    assert tip.is_displayed()
    assert "Claims: no weight transport, no backward phase and online." in tip.text
    box = driver.execute_script("return document.querySelector('.tip').getBoundingClientRect()")
    assert box["left"] >= 0
    assert box["right"] <= 1200


def test_a_tap_describes_a_rule_on_a_phone(opened: Open) -> None:
    driver = opened(QUESTION, 390)
    mark = driver.find_elements("css selector", "g.mark .ring")[-1]
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", mark)
    box = driver.execute_script("return arguments[0].getBoundingClientRect()", mark)
    touch = {"x": box["x"] + box["width"] / 2, "y": box["y"] + 5}
    driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [touch]})
    driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    tip = driver.find_element("css selector", ".tip")
    assert tip.text.splitlines()[0] == "bp"
    box = driver.execute_script("return document.querySelector('.tip').getBoundingClientRect()")
    assert box["left"] >= 0
    assert box["right"] <= 390


def test_on_a_phone_each_rule_is_a_card(opened: Open) -> None:
    driver = opened(QUESTION, 390)
    first = driver.find_element("css selector", "tbody tr")
    assert first.size["height"] > 120
    script = "return getComputedStyle(document.querySelector('td[data-head=\\'test %\\']'), '::before').content"
    assert driver.execute_script(script) == '"test %"'
    assert first.get_attribute("role") == "row", "it stays a table for those who hear it"


def test_prints_the_chosen_view_without_controls(opened: Open) -> None:
    driver = opened(QUESTION, view="#claim=online")
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        gone = ["form", ".tip", "section > details"]
        assert not any(driver.find_element("css selector", where).is_displayed() for where in gone)
        assert driver.find_element("css selector", ".plot").is_displayed()
        assert rules(driver) == ["opzo", "dkp", "dfa"]
        file = base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert file.startswith(b"%PDF")
    assert file.count(b"/Type /Page\n") <= 3


def test_sorts_by_click_and_by_keyboard(opened: Open) -> None:
    driver = opened(RUNS)
    assert rules(driver) == ["fbp:period=10", "bp", "fbp:period=9", "fa"]
    press(driver, "test %")
    assert rules(driver) == ["fbp:period=10", "fbp:period=9", "bp", "fa"]  # what has no value stays last
    press(driver, "test %", " ")
    assert rules(driver) == ["bp", "fbp:period=9", "fbp:period=10", "fa"]
    heads = driver.find_elements("css selector", "th[aria-sort]")
    assert [head.get_attribute("aria-sort") for head in heads] == ["ascending"]
    press(driver, "rule", "\n")
    assert rules(driver) == ["bp", "fa", "fbp:period=9", "fbp:period=10"]


def test_filters_rules_and_runs_by_all_words(opened: Open) -> None:
    driver = opened(RUNS)
    box = driver.find_element("id", "words")
    box.send_keys("FBP 10")
    assert rules(driver) == ["fbp:period=10"]
    assert driver.find_element("id", "found").text == "1 of 4 rules are shown."
    assert len(driver.execute_script("return document.querySelectorAll('details[data-text]:not([hidden])')")) == 1
    lines = "return document.querySelectorAll('.figures g[data-rule]:not([hidden])').length"
    assert driver.execute_script(lines) == 2, "a line of this rule in each of two figures"
    assert [item.text for item in driver.find_elements("css selector", ".legend li") if item.text] == ["fbp:period=10"]
    box.clear()
    box.send_keys("<nothing>")
    assert rules(driver) == []
    assert "named “<nothing>”" in said(driver)
    box.send_keys("\ue003" * 9)  # backspace
    assert len(rules(driver)) == 4


def test_shows_groups_apart_and_what_was_left_out(opened: Open) -> None:
    driver = opened([*RUNS, record("bp", data="mnist")])
    assert len(driver.find_elements("css selector", "table")) == 2
    links = driver.find_elements("css selector", "nav li a")
    pick(driver, "y", "validation")
    links[1].click()
    assert "y=validation" in driver.current_url, "a link to a group keeps the choice"
    assert len(links) == 2
    assert "some.jsonl, line 3: <i>half</i>" in driver.find_element("css selector", ".left-out").text


def test_figures_are_text_and_ids_are_unique(opened: Open) -> None:
    driver = opened(RUNS)
    script = "return [...document.querySelectorAll('[id]')].map(element => element.id)"
    ids = driver.execute_script(script)
    assert len(ids) == len(set(ids)) > 20
    texts = driver.execute_script("return [...document.querySelectorAll('svg text')].map(t => t.textContent)")
    assert {"validation accuracy [%]", "epoch"} <= set(texts)
    legend = driver.execute_script("return document.querySelector('.legend').innerText")
    assert "fbp:period=10" in legend.split()
    missing = driver.execute_script(
        "return [...document.querySelectorAll('svg use')].filter("
        "use => !document.getElementById(use.href.baseVal.slice(1))).length"
    )
    assert missing == 0


def test_text_from_a_record_stays_text(opened: Open) -> None:
    driver = opened([record(HOSTILE, network=HOSTILE, settings={HOSTILE: HOSTILE}), record("bp", network=HOSTILE)])
    assert driver.title == "onchip: 2 runs"
    assert HOSTILE in rules(driver)


@pytest.mark.parametrize("width", [1200, 390])
def test_nothing_is_wider_than_the_window(width: int, opened: Open) -> None:
    long = record("rule:" + "x" * 90, network="n" * 200, options={"o" * 99: "v" * 300}, error=None)
    driver = opened([*RUNS, long], width)
    driver.execute_script("document.querySelectorAll('details').forEach(details => details.open = true)")
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width


def test_dark_and_light(opened: Open) -> None:
    driver = opened(RUNS)
    shades = {}
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        names = {"body": "backgroundColor", ".answer": "color"}
        shades[scheme] = [
            driver.execute_script(f"return getComputedStyle(document.querySelector('{where}')).{what}")
            for where, what in names.items()
        ]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    brightness = {k: [int(v.split("(")[1].split(",")[0]) for v in shade] for k, shade in shades.items()}
    assert brightness["light"][0] > 200 > 100 > brightness["light"][1]
    assert brightness["dark"][0] < 100 < 200 < brightness["dark"][1]


@pytest.mark.slow
def test_a_hundred_runs_are_one_quick_page(opened: Open) -> None:
    runs = [record(f"rule:option={index % 34}", seed=index // 34, accuracy=0.5 + index / 300) for index in range(100)]
    driver = opened(runs)
    assert len(driver.page_source) < 10e6
    waits = []
    for _ in range(3):
        driver.refresh()
        waits.append(driver.execute_script("return performance.getEntriesByType('navigation')[0].loadEventEnd"))
    assert min(waits) < 2000  # milliseconds
