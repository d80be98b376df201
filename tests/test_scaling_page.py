"""docs/scaling.md is what the kept results say; exponents and estimates are what they are by hand."""

from __future__ import annotations

import json
import math
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))  # scripts take what they share from beside them
    return lambda name: runpy.run_path(str(BENCHMARKS / f"{name}.py"))


def test_the_page_is_of_the_results(script: Any, capsys: pytest.CaptureFixture[str]) -> None:
    page = script("scaling_page")
    page["main"]()
    assert capsys.readouterr().out == (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8"), (
        "run `python benchmarks/scaling_page.py > docs/scaling.md`"
    )


def test_no_step_grows_faster_than_its_work(script: Any) -> None:
    result = json.loads((BENCHMARKS / "results" / "scaling.json").read_text(encoding="utf-8"))
    assert script("scaling_page")["above"](result["nets"]) == []
    for axes in result["nets"].values():
        assert set(axes) == {"T", "B", "width", "depth"}
        assert all({"bp", "ottt", "fbp", "dfa", "opzo", "eprop"} == set(rows) for rows in axes.values())


def test_an_exponent_above_the_limit_is_named(script: Any) -> None:
    nets = {"recurrent": {"T": {"bp": {"exponent": 1.25}, "dfa": {"exponent": 1.0}}}}
    assert script("scaling_page")["above"](nets) == ["`bp` in T (recurrent, 1.25)"]


def test_twice_the_samples_in_twice_the_time_has_an_exponent_of_1_in_processes(script: Any) -> None:
    row = {"efficiency": 0.5, "efficiency_quartile_low": 0.25, "efficiency_quartile_high": 1.0}
    assert "| `bp` | 1.00 (-0.00 to 2.00) | 0.50 |" in script("scaling_page")["ranks"]({"rows": {"bp": row}})


def test_the_slope_of_a_power_is_its_exponent(script: Any) -> None:
    exponents = script("scaling")["exponents"]
    sizes = [2.0, 4.0, 16.0]
    times = [[3.0 * size**1.5, 7.0 * size**0.5] for size in sizes]
    assert exponents(sizes, times) == pytest.approx([1.5, 0.5])


def test_a_tiny_axis_is_measured(script: Any) -> None:
    names = script("scaling")
    points = [names["Point"]("F4", (3,), steps, 2, steps) for steps in (2, 4)]
    row = names["measure"](points, "width", ["bp"], 2)["bp"]
    assert row["values"] == [2, 4]
    # By hand, per step and sample: forward and update 3·4 + 4·10 each, and 4·10 for the error of the hidden layer.
    assert row["abscissae"] == [4 * 144, 8 * 144]
    assert all(taken > 0 for taken in row["milliseconds"])


def test_an_estimate_is_the_formula_by_hand(script: Any) -> None:
    names = script("imagenet")
    row = {"forward": 1e9, "error": 2e9, "update": 3e9, "neuron_updates": 1e6, "reduced": 1e7}
    row |= {"parameters": 2e6, "feedback_memory": 3e6}
    gpu = names["GPU"](
        flops=1e12,
        utilization=0.5,
        bandwidth=1e12,
        bandwidth_share=0.5,
        bytes=2,
        moved=5,
        link=1e9,
        link_between=1e8,
        link_share=0.5,
        per_node=8,
        batch=10,
    )
    one, eight, many = (names["days"](row, gpu, number) for number in (1, 8, 64))
    images = 100 * 1_281_167
    product, scan = 12e9 / 0.5e12, 5 * 1e6 * 2 / 0.5e12  # seconds per image
    assert one["reduction"] == 0
    weights = 4 * 5e6 / 0.5e12  # seconds per step
    assert one["days"] == pytest.approx((images * (product + scan) + images / 10 * weights) / 86_400)
    assert eight["products"] == pytest.approx(images * product / 8 / 86_400)
    steps = images / 80
    assert eight["reduction"] == pytest.approx(steps * 2 * 7 / 8 * 4e7 / 0.5e9 / 86_400)
    assert many["reduction"] == pytest.approx(images / 640 * 2 * 63 / 64 * 4e7 / 0.5e8 / 86_400), "between nodes"


def test_counts_of_bp_on_imagenet_are_those_of_the_network(script: Any) -> None:
    """By hand: the products of ResNet-34 for 224x224, 3.66 · 10^9 with T = 1; the first layer's are made once."""
    row = json.loads((BENCHMARKS / "results" / "imagenet.json").read_text(encoding="utf-8"))["rows"]["bp"]
    stem = 64 * 3 * 49 * 112 * 112
    blocks = [(64, 56, 3), (128, 28, 4), (256, 14, 6), (512, 7, 3)]
    total, before = 0, 64
    for maps, side, number in blocks:
        plain = maps * maps * 9 * side * side
        total += (2 * number - 1) * plain + maps * before * 9 * side * side
        total += maps * before * side * side if maps != before else 0  # the shortcut
        before = maps
    assert row["forward"] == stem + 6 * (total + 512 * 1000)
    neurons = 64 * 112 * 112 + sum((2 * number + (maps > 64)) * maps * side * side for maps, side, number in blocks)
    assert row["neuron_updates"] == 6 * (neurons + 1000)
    assert math.isclose(row["reduced"], 21.8e6, rel_tol=0.01)
    # Of 32 images, float32 potentials and spikes of all layers but the first, whose drive alone is kept, and more.
    assert row["memory"] > 32 * 4 * 2 * 6 * (neurons - 64 * 112 * 112)


def test_measured_numbers_of_a_gpu_take_the_place_of_ours(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, kept = tmp_path / "gpu.json", BENCHMARKS / "results" / "imagenet.json"
    own.write_text(json.dumps({"name": "ours", "utilization": 0.15}), encoding="utf-8")
    options = ["--counts", str(kept), "--gpu", str(own), "--json", str(tmp_path / "out.json")]
    monkeypatch.setattr("sys.argv", ["imagenet.py", *options])
    script("imagenet")["main"]()
    ours = json.loads(kept.read_text(encoding="utf-8"))["estimates"]["bp"]["8"]
    theirs = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["estimates"]["bp"]["8"]
    assert theirs["products"] == pytest.approx(2 * ours["products"])
    assert theirs["scans"] == ours["scans"]
