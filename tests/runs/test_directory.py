"""The folder of a sweep: it sees and deletes every file that a sweep may leave, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from onchip.errors import RequestError
from onchip.runs.config import RunConfig
from onchip.runs.directory import RunDirectory
from onchip.runs.sweep_config import SweepConfig

REQUEST = SweepConfig(RunConfig(), ("bp",), (0,))
OURS = ["run.json", "records.jsonl", "table.md", "report.html", "figure.svg", "figure.png"]
OURS += ["weights/bp-seed0.safetensors", "checkpoints/bp-seed0.safetensors"]


@pytest.mark.parametrize("name", OURS)
def test_any_file_of_a_sweep_is_in_the_way_until_it_is_forced(name: str, tmp_path: Path) -> None:
    left, notes = tmp_path / name, tmp_path / "notes.txt"
    left.parent.mkdir(exist_ok=True)
    for file in (left, notes):
        file.write_text("of an earlier sweep")
    with pytest.raises(RequestError, match="already holds a run"):
        RunDirectory(tmp_path).open(REQUEST)
    RunDirectory(tmp_path).open(REQUEST, force=True)
    assert RunDirectory(tmp_path).config() == REQUEST
    assert left.exists() is (name == "run.json")
    assert left.parent.exists() is (left.parent == tmp_path)
    assert notes.read_text() == "of an earlier sweep"


@pytest.mark.parametrize("name", OURS)
def test_parts_of_files_that_a_killed_process_left_are_deleted(name: str, tmp_path: Path) -> None:
    whole, other = tmp_path / name, tmp_path / ".notes.txt.123.part"
    whole.parent.mkdir(exist_ok=True)
    part = whole.with_name(f".{whole.name}.123.part")
    for file in (part, other):
        file.write_text("half of a ")
    RunDirectory(tmp_path).open(REQUEST)
    assert not part.exists()
    assert other.exists()
