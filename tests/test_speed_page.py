"""docs/speed.md is what the kept results say."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_page_is_of_the_results(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))  # the page takes its targets from a file beside it
    runpy.run_path(str(ROOT / "benchmarks" / "page.py"))["main"]()
    page = capsys.readouterr().out
    assert page == (ROOT / "docs" / "speed.md").read_text(encoding="utf-8"), (
        "run `python benchmarks/page.py > docs/speed.md`"
    )
    assert page.count("| floor, channels_last |") >= 1


def test_what_falls_short_of_its_target_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    checked = runpy.run_path(str(ROOT / "benchmarks" / "targets.py"))["checked"]
    rows = {
        "floor": {"ratio": 1.0, "peak_growth_mib": 200.0},
        "bp, static": {"ratio": 1.99, "peak_growth_mib": 80.0},
        "Norse BPTT": {"ratio": 0.7, "peak_growth_mib": 300.0},
        "snnTorch BPTT": {"ratio": 0.5, "peak_growth_mib": 150.0},
    }
    lines = checked({"conv_wide": {"rows": rows}}, {}).splitlines()
    assert "| conv_wide | bp, static | floor, speed | at least 2 | 1.99, not reached |  |" in lines
    assert "| conv_wide | bp, static | the best peer, speed | at least 2.5 | 2.84 |  |" in lines
    assert "| conv_wide | bp, static | the best peer, memory | at most 0.5 | 0.53, not reached |  |" in lines
    assert not any("opzo" in line for line in lines), "was not measured"
