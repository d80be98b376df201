"""The page in a real browser, where Chromium, its driver and selenium are found."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from onchip import report
from onchip.runs.record import Record
from tests.examples import record

selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install -e '.[browser]'")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs chromium and chromedriver on the PATH")

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
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
    yield driver
    driver.quit()


@pytest.fixture
def opened(driver: Any, tmp_path: Path) -> Iterator[Open]:
    """A page of these records, open; afterwards: nothing was said on the console, nothing was fetched."""

    def open_page(records: list[Record], width: int = 1200) -> Any:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        file = tmp_path / "report.html"
        file.write_text(report.page(report.grouped(records), ["some.jsonl, line 3: <i>half</i>"]), encoding="utf-8")
        driver.get(file.as_uri())
        return driver

    driver.get_log("browser")
    yield open_page
    assert driver.get_log("browser") == []
    assert driver.execute_script("return performance.getEntriesByType('resource').length") == 0


def rules(driver: Any) -> list[str]:
    """First cells of the rows that are shown, over all tables."""
    script = "return [...document.querySelectorAll('tbody tr:not([hidden])')].map(row => row.cells[0].innerText)"
    return list(driver.execute_script(script))


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
    box = driver.find_element("id", "filter")
    box.send_keys("FBP 10")
    assert rules(driver) == ["fbp:period=10"]
    assert driver.find_element("id", "found").text == "1 of 4 rules"
    assert len(driver.execute_script("return document.querySelectorAll('details[data-text]:not([hidden])')")) == 1
    box.clear()
    box.send_keys("<nothing>")
    assert rules(driver) == []
    box.send_keys("\ue003" * 9)  # backspace
    assert len(rules(driver)) == 4


def test_shows_groups_apart_and_what_was_left_out(opened: Open) -> None:
    driver = opened([*RUNS, record("bp", data="mnist")])
    assert len(driver.find_elements("css selector", "table.sortable")) == 2
    assert len(driver.find_elements("css selector", "nav li")) == 2
    assert "some.jsonl, line 3: <i>half</i>" in driver.find_element("css selector", ".left-out").text


def test_figures_are_text_and_ids_are_unique(opened: Open) -> None:
    driver = opened(RUNS)
    script = "return [...document.querySelectorAll('[id]')].map(element => element.id)"
    ids = driver.execute_script(script)
    assert len(ids) == len(set(ids)) > 20
    texts = driver.execute_script("return [...document.querySelectorAll('svg text')].map(t => t.textContent)")
    assert {"test accuracy [%]", "epoch"} <= set(texts)
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
        names = {"body": "backgroundColor", "svg text": "fill"}
        shades[scheme] = [
            driver.execute_script(f"return getComputedStyle(document.querySelector('{where}')).{what}")
            for where, what in names.items()
        ]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    brightness = {k: [int(v.split("(")[1].split(",")[0]) for v in shade] for k, shade in shades.items()}
    assert brightness["light"][0] > 200 > 100 > brightness["light"][1]
    assert brightness["dark"][0] < 100 < 200 < brightness["dark"][1]


def test_prints_with_everything_open(opened: Open) -> None:
    driver = opened(RUNS)
    driver.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert driver.execute_script("return document.querySelectorAll('details:not([open])').length") == 0
    driver.execute_script("dispatchEvent(new Event('afterprint'))")
    assert driver.execute_script("return document.querySelectorAll('details[open]').length") == 0


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
