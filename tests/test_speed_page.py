"""docs/speed.md is what the kept results say."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_page_is_of_the_results(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "benchmarks" / "page.py"))["main"]()
    page = capsys.readouterr().out
    assert page == (ROOT / "docs" / "speed.md").read_text(encoding="utf-8"), (
        "run `python benchmarks/page.py > docs/speed.md`"
    )
    assert page.count("| floor, channels_last |") >= 1
