from __future__ import annotations

from pathlib import Path

import pytest

from onchip.runs.record import append
from tests.examples import record

from .conftest import Onchip

RECORDS = [record(seed=0), record(seed=1, accuracy=0.6), record("dfa"), record("fa", accuracy=None)]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "first"
    folder.mkdir(parents=True)
    for one in RECORDS:
        append(folder / "records.jsonl", one)
    return folder


def test_writes_a_page(onchip: Onchip, runs: Path) -> None:
    result = onchip("report", str(runs))
    assert result.code == 0
    assert result.out.split() == ["report/report.html"]
    page = Path("report", "report.html").read_text(encoding="utf-8")
    assert "onchip: 4 runs" in page
    assert "failed: it diverged" in page


def test_writes_every_format(onchip: Onchip, runs: Path) -> None:
    assert onchip("report", str(runs), "--format", "all", "--out", "a/b").code == 0
    names = {"front-weights", "front-products", "learning-accuracy", "learning-loss"}
    figures = {f"{name}.{kind}" for name in names for kind in ("svg", "png")}
    assert {file.name for file in Path("a/b").iterdir()} == {
        "report.html",
        "table.md",
        "table.csv",
        "table.tex",
        *figures,
    }
    assert onchip("report", str(runs), "--format", "csv,md", "--out", "c").out.split() == ["c/table.md", "c/table.csv"]


def test_runs_of_other_data_stand_apart(onchip: Onchip, runs: Path) -> None:
    append(runs / "records.jsonl", record(data="mnist", seed=5))
    assert onchip("report", "runs", "--format", "html,md,svg").code == 0
    page, table = (Path("report", name).read_text(encoding="utf-8") for name in ("report.html", "table.md"))
    assert page.count("<h2>") == 2
    assert table.count("\ndigits (") + table.startswith("digits (") == 1
    assert table.count("\nmnist (") == 1
    assert Path("report", "2-learning-loss.svg").exists()


def test_damaged_records_are_named_and_left_out(onchip: Onchip, runs: Path) -> None:
    with (runs / "records.jsonl").open("a") as file:
        file.write('{"label": "half\n')
        file.write(record("ottt").to_json().replace('"test_accuracy": 0.5', '"test_accuracy": "<b>"') + "\n")
    other = runs.parent / "second"
    other.mkdir()
    (other / "records.jsonl").touch()
    result = onchip("report", "runs")
    assert result.code == 0
    left_out = [line for line in result.err.splitlines() if line.startswith("left out: ")]
    assert [line.split(": ")[1] for line in left_out] == [
        "runs/first/records.jsonl, line 5",
        "runs/first/records.jsonl, line 6",
        "runs/second/records.jsonl",
    ]
    page = Path("report", "report.html").read_text(encoding="utf-8")
    assert "records.jsonl, line 5" in page
    assert "<b>" not in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("absent", "absent does not exist"),
        ("empty", "empty holds no records.jsonl"),
        ("noise.bin", "no record could be read"),
        ("runs --format pdf", "unknown format 'pdf'"),
        ("runs --format html,", "empty name"),
        ("runs --out noise.bin", "noise.bin is a file"),
        ("", ""),  # the option parser's own message
    ],
)
def test_a_wrong_request_is_refused(arguments: str, message: str, onchip: Onchip, runs: Path) -> None:
    Path("empty").mkdir()
    Path("noise.bin").write_bytes(bytes(range(256)))
    result = onchip("report", *arguments.split())
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err
    assert not Path("report").exists()
