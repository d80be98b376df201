"""Experiments by name, all of them on tiny data, and the code that made their records."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import _records
import _tables
import run

ROOT = Path(__file__).resolve().parents[2]
RECORDS = ROOT / "experiments" / "records"
WITHOUT_DATE = {"fbp_replay": 26, "opzo_finetune": 24, "opzo_gradients": 36}
"""Records that were made before they said when, and of which code."""


def test_every_experiment_trains_records_and_makes_its_tables() -> None:
    kept = [*RECORDS.glob("*.jsonl"), *(ROOT / "docs").glob("*.*")]
    before = {path: path.read_bytes() for path in kept}
    command = [sys.executable, str(ROOT / "experiments" / "run.py"), "--tiny"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr
    for name in run.names():
        assert (f"\n{name}: made its tables" in ran.stdout) != (name in run.ON_ITS_OWN), name
    assert {path: path.read_bytes() for path in kept} == before


def test_they_are_listed_with_what_they_ask(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == run.names()
    assert all(line.endswith((".", "?", ":")) for line in lines)
    stems = {path.stem.removesuffix("_tuning").removesuffix("_long") for path in RECORDS.glob("*.jsonl")}
    assert stems <= set(run.names())


def test_a_table_that_is_not_that_of_the_records_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "chips.md").read_text(encoding="utf-8")
    (tmp_path / "chips.md").write_text(page, encoding="utf-8")
    monkeypatch.setattr(_tables, "DOCS", tmp_path)
    assert run.main(["chips", "--check"]) == 0
    table = run.table_of("chips", page)
    assert table
    (tmp_path / "chips.md").write_text(page.replace(table, table.replace("3", "4")), encoding="utf-8")
    assert run.main(["chips", "--check"]) == 1
    assert "chips: chips" in capsys.readouterr().out


def test_unknown_names_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.main(["chisp", "--tiny"])
    assert "got chisp; expected names out of: all_rules, bfloat16" in capsys.readouterr().err


def test_what_is_appended_says_which_code_made_it(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    _records.append_lines(path, [{"row": "one"}, {"record": {}}])
    plain, run_of = _records.read_lines(path)
    assert {"version", "commit", "clean"} == set(plain["code"])
    assert plain["written"] > "2026"
    assert run_of == {"record": {}}, "the record of a run has its provenance"


@pytest.mark.parametrize("path", sorted(RECORDS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_records_since_december_say_which_commit_made_them(path: Path) -> None:
    undated = 0
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        record = entry.get("record", entry)
        if record.get("provenance") or "code" in entry or record.get("status") == "failed":
            continue
        undated += "started" not in record
        assert record.get("started", "") < "2026-12-02", record
    assert undated <= WITHOUT_DATE.get(path.stem, 0)
