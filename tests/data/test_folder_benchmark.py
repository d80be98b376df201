"""The benchmark of large folders on a small one: two starts of the command line in processes of their own."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return runpy.run_path(str(ROOT / "benchmarks" / "folder.py"))


@pytest.mark.slow
def test_the_second_start_decodes_nothing_in_little_memory(benchmark: dict[str, Any]) -> None:
    measured = benchmark["measured"](300, 48, 2)
    first, second = measured["starts"]
    assert (first["decoded"], second["decoded"]) == (301, 0), "the first picture also says which size all have"
    assert max(first["peak_mib"], second["peak_mib"]) < 1536
    assert measured["listing"]["peak_growth_mib"] < 4
    assert all(set(ways) > {"read", "mapped"} for ways in measured["gathering"].values())


def test_the_page_has_the_kept_result(benchmark: dict[str, Any]) -> None:
    result = json.loads((ROOT / "benchmarks/results/folder.json").read_text(encoding="utf-8"))
    assert benchmark["table"](result) in (ROOT / "docs/large-data.md").read_text(encoding="utf-8")
    first, second = result["starts"]
    assert result["pictures"] == 200_000
    assert (first["decoded"], second["decoded"]) == (200_001, 0)
    assert max(first["peak_mib"], second["peak_mib"]) < 1536
