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


def test_energies_by_any_table_are_computed_from_the_counts(onchip: Onchip, runs: Path) -> None:
    counts = {"acs_forward": 6e8, "macs_forward": 1e8, "acs_error": 2e8, "macs_error": 1e8, "acs_update": 5e8}
    for rule, sent in (("bp", 7), ("dfa", 0)):
        ledger = {**record().ledger, **counts, "transport_value_bits": sent}
        append(runs / "more.jsonl", record(rule, ledger=ledger))
    file = str(runs / "more.jsonl")
    assert onchip("report", file, "--format", "all", "--hardware", "seneca,reckon").code == 0
    table = Path("report/table.md").read_text(encoding="utf-8")
    head, _, *rows = [[c.strip() for c in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]
    for name, price in (("seneca", 2.8), ("reckon", 5.3)):
        column = head.index(f"µJ / sample: synaptic operations only ({name})")
        microjoules = 1e9 * price / (100 * 2) * 1e-6  # operations, per sample of two epochs
        assert [row[column] for row in rows] == [f"{microjoules:.4g}", f"{microjoules:.4g}"]
        line = f"Unpriced by {name}, and in no sum: operations of updates (all rules); transport of weights (bp)."
        assert f"- {line}\n" in table
        for other in ("report.html", "table.csv", "table.tex"):
            assert line in Path("report", other).read_text(encoding="utf-8")
        assert Path(f"report/front-energy-{name}.svg").exists()
    for wrong, message in (("seneca,abacus", "unknown hardware table 'abacus'"), ("seneca,", "an empty name")):
        result = onchip("report", file, "--hardware", wrong)
        assert (result.code, result.err.count("\n")) == (2, 1)
        assert message in result.err
