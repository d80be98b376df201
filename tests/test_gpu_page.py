"""The tables of docs/gpu.md are what the kept results and records say."""

from __future__ import annotations

import json
import runpy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from onchip.runs.config import RunConfig
from onchip.runs.record import read

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")


def script(name: str) -> dict[str, Any]:
    return runpy.run_path(str(ROOT / name))


def test_the_scans_are_those_that_were_measured() -> None:
    result = json.loads((ROOT / "benchmarks" / "results" / "scan-cpu.json").read_text(encoding="utf-8"))
    assert script("benchmarks/scan.py")["table"](result) in PAGE


def test_bfloat16_is_as_fast_as_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))  # the benchmark takes its networks from a file beside it
    result = json.loads((ROOT / "benchmarks" / "results" / "bfloat16.json").read_text(encoding="utf-8"))
    assert script("benchmarks/bfloat16.py")["table"](result) in PAGE
    assert "BF16" in result["processor"]
    through_time = {(row["net"], row["form"]): row["times_as_fast"] for row in result["rows"] if row["step"] == "bp"}
    assert {"conv_wide", "conv_rgb"} <= {net for net, _ in through_time}
    assert min(gain for (net, _), gain in through_time.items() if net != "mlp_wide") >= 1.6


def test_bfloat16_is_as_fast_with_spike_times_as_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    result = json.loads((ROOT / "benchmarks" / "results" / "bfloat16-times.json").read_text(encoding="utf-8"))
    assert script("benchmarks/bfloat16.py")["table"](result) in PAGE
    assert {(row["net"], row["form"]) for row in result["rows"]} == {("vgg7", "times")}


def test_bfloat16_is_as_accurate_as_the_records_say() -> None:
    names = script("experiments/bfloat16.py")
    records = read(names["RECORDS"])
    assert names["tables"]()["bfloat16"] in PAGE
    made = {(r.rule, r.seed, *(r.settings[name] for name in ("precision", "neuron", "lr"))) for r in records}
    assert len(made) == len(records) == 36
    assert len({(r.settings["neuron"], r.settings["lr"]) for r in records}) == 2
    free = {"rule": "", "seed": 0, "precision": "", "neuron": "", "lr": 0.0}
    defaults = asdict(RunConfig())  # of settings that are younger than a record
    shared = [{**defaults, **r.settings, **free} for r in records]
    assert all(settings == shared[0] for settings in shared)


def test_bfloat16_costs_no_accuracy_beyond_the_spread_of_seeds() -> None:
    names = script("experiments/bfloat16.py")
    records = read(names["RECORDS"])
    for row in names["ROWS"]:
        exact, rounded = (names["accuracies"](records, row, precision) for precision in ("float32", "bfloat16"))
        spread = max(exact) - min(exact)
        assert abs(sum(rounded) - sum(exact)) / len(exact) <= spread
