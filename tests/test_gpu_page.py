"""The tables of docs/gpu.md are what the kept results and records say."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

from onchip.runs.record import read

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")


def script(name: str) -> dict[str, Any]:
    return runpy.run_path(str(ROOT / name))


def test_the_scans_are_those_that_were_measured() -> None:
    result = json.loads((ROOT / "benchmarks" / "results" / "scan-cpu.json").read_text(encoding="utf-8"))
    assert script("benchmarks/scan.py")["table"](result) in PAGE


def test_bfloat16_is_as_accurate_as_the_records_say() -> None:
    names = script("experiments/bfloat16.py")
    records = read(names["RECORDS"])
    assert names["tables"]()["bfloat16"] in PAGE
    assert len({(r.rule, r.seed, r.settings["precision"]) for r in records}) == len(records) == 24
    shared = [{**r.settings, "rule": "", "seed": 0, "precision": ""} for r in records]
    assert all(settings == shared[0] for settings in shared)


def test_bfloat16_costs_no_accuracy_beyond_the_spread_of_seeds() -> None:
    names = script("experiments/bfloat16.py")
    records = read(names["RECORDS"])
    for rule in names["RULES"]:
        exact, rounded = (names["accuracies"](records, rule, precision) for precision in ("float32", "bfloat16"))
        spread = max(exact) - min(exact)
        assert abs(sum(rounded) - sum(exact)) / len(exact) <= spread
