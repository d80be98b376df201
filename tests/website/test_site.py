"""The documentation site: it builds without a broken link, loads nothing from a network, and works from files."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("material", reason="the site is built by mkdocs-material")

ROOT = Path(__file__).parents[2]
EXTERNAL = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\ssrc=[\"']?(?:https?:)?//[^>]*>"
    r"|<link\b[^>]*rel=[\"']?(?:stylesheet|preload|preconnect|icon)[^>]*href=[\"']?(?:https?:)?//[^>]*>"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, str(ROOT / "website" / "build.py"), "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder / "site"


def test_the_site_loads_nothing_from_a_network(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 70
    for page in pages:
        assert not EXTERNAL.findall(page.read_text(encoding="utf-8")), page.relative_to(site)
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", style.read_text(encoding="utf-8")), style


def test_external_references_would_be_found() -> None:
    assert EXTERNAL.search('<script src="https://example.org/a.js">')
    assert EXTERNAL.search("<link rel=stylesheet href=//example.org/a.css>")
    assert not EXTERNAL.search('<script src="a.js"></script><a href="https://example.org">')


def test_every_page_of_docs_is_there(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*"):
        if page.suffix in (".md", ".ipynb"):
            assert (site / page.relative_to(ROOT / "docs").with_suffix(".html")).exists()


def test_every_name_of_the_reference_is_there_once(site: Path) -> None:
    headings: list[str] = []
    for page in sorted((site / "reference").glob("*.html")):
        headings += re.findall(r'<h2 id="([\w.]+)"', page.read_text(encoding="utf-8"))
    assert len(headings) > 150
    assert len(set(headings)) == len(headings)


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
PAGES = (
    "index.html",
    "start.html",
    "concepts/signals.html",
    "rules/index.html",
    "rules/opzo.html",
    "reference/onchip.html",
)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: an extra, `browser`")
    if not (BROWSER and DRIVER):
        pytest.skip("needs chromium and chromedriver on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
    for flag in [*flags, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def opened(driver: Any, site: Path, name: str, width: int = 1280, scheme: str = "light") -> Any:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    driver.get((site / name).as_uri())
    driver.execute_script("localStorage.clear()")  # where the theme keeps the scheme of an earlier page
    driver.refresh()
    return driver


def until(condition: Callable[[], Any]) -> Any:
    """The first value that is true, waited for."""
    deadline = time.monotonic() + 30
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return value


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_fits_a_phone_and_says_nothing_on_the_console(driver: Any, site: Path, name: str, scheme: str) -> None:
    driver.get_log("browser")
    opened(driver, site, name, width=390, scheme=scheme)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 390
    found = driver.execute_script("return document.body.dataset.mdColorScheme")
    assert found == {"light": "default", "dark": "slate"}[scheme]
    loaded = driver.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [address for address in loaded if not address.startswith(("file:", "data:", "blob:"))] == []
    assert driver.get_log("browser") == []


def test_the_search_works_from_files(driver: Any, site: Path) -> None:
    opened(driver, site, "concepts/signals.html")
    box = driver.find_element("css selector", "input[data-md-component=search-query]")
    driver.execute_script("arguments[0].focus()", box)
    box.send_keys("teaching event")
    script = "return [...document.querySelectorAll('.md-search-result__link')].map(link => link.href)"
    found = until(lambda: driver.execute_script(script))
    assert found, driver.get_log("browser")
    assert any("glossary.html" in address or "rules/etlp.html" in address for address in found)


def test_rules_are_filtered_by_claims(driver: Any, site: Path) -> None:
    opened(driver, site, "rules/index.html")
    rows = (
        "return [...document.querySelectorAll('.filterable tbody tr:not([hidden])')].map(row => row.cells[0].innerText)"
    )
    everything = driver.execute_script(rows)
    for claim in ("no weight transport", "update unlocked"):
        driver.execute_script(
            "[...document.querySelectorAll('.filters label')].find(label => label.innerText.trim() === arguments[0])"
            ".querySelector('input').click()",
            claim,
        )
    assert {"drtp", "decolle", "local_learning"} <= set(driver.execute_script(rows)) < set(everything)
    assert "dfa" not in driver.execute_script(rows)
    said = driver.find_element("css selector", ".filterable [role=status]").text
    assert said == f"{len(driver.execute_script(rows))} of {len(everything)} rules"
