from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from onchip.errors import RequestError
from onchip.runs.config import RunConfig
from onchip.runs.directory import RunDirectory
from onchip.runs.merging import merge, parts
from onchip.runs.record import Record, read, write
from onchip.runs.shards import parse_shard, share
from onchip.runs.sweep_config import SweepConfig
from tests.examples import record

SWEEP = SweepConfig(RunConfig(threads=1), ("bp", "dfa", "fa"), (0, 1, 2))


def made(run: RunConfig, **changes: Any) -> Record:
    return record(run.rule, run.seed, settings=dataclasses.asdict(run), **changes)


def part(folder: Path, shard: tuple[int, int], sweep: SweepConfig = SWEEP, **changes: Any) -> Path:
    """A folder as a part of a sweep leaves it."""
    own = dataclasses.replace(sweep, shard=shard)
    with RunDirectory(folder).open(own):
        write(folder / "records.jsonl", [made(run, **changes) for run in reversed(own.runs())])
    return folder


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9])
def test_every_run_is_in_one_part_and_parts_are_alike(count: int) -> None:
    shares = [dataclasses.replace(SWEEP, shard=(each, count)).runs() for each in range(count)]
    assert Counter(itertools.chain(*shares)) == Counter(SWEEP.runs())
    for rule in SWEEP.rules:
        numbers = [sum(run.rule == rule for run in each) for each in shares]
        assert max(numbers) - min(numbers) <= 1
    for each in shares:
        assert each == [run for run in SWEEP.runs() if run in each], "in the order of the whole"


def test_precisions_of_a_rule_are_dealt_alike() -> None:
    assert share(["bits", "full"] * 4, (1, 2)) == [2, 3, 6, 7]


def test_a_part_is_stored_and_read_back() -> None:
    own = dataclasses.replace(SWEEP, shard=(1, 4))
    assert SweepConfig.from_json(own.to_json()) == own
    assert "shard" not in SWEEP.to_dict()


@pytest.mark.parametrize("text", ["2/2", "-1/2", "1", "a/b", "1/0", "0/0", "0/2/3", "", "٠/٢", "0/9999999", 3])
def test_text_that_names_no_part_is_refused(text: Any) -> None:
    with pytest.raises(RequestError, match=r"shard got .*; expected i/n with i from 0 to n-1"):
        parse_shard(text)


def test_parts_make_the_whole_in_its_order(tmp_path: Path) -> None:
    for each in range(2):
        part(tmp_path / "in" / f"{each}", (each, 2))
    (tmp_path / "in" / "1" / "weights").mkdir()
    (tmp_path / "in" / "1" / "weights" / "bp-seed1.safetensors").write_bytes(b"weights")
    folders, notes = parts([tmp_path / "in"], tmp_path / "out")
    assert (len(folders), notes) == (2, [])
    merged = merge(folders, tmp_path / "out")
    assert list(merged.records) == [made(run) for run in SWEEP.runs()]
    assert (merged.sweep, merged.missing, merged.notes) == (SWEEP, (), ())
    for _ in range(2):  # again, into the same folder
        merged.write(tmp_path / "out")
        assert read(tmp_path / "out" / "records.jsonl") == [made(run) for run in SWEEP.runs()]
    assert (tmp_path / "out" / "weights" / "bp-seed1.safetensors").read_bytes() == b"weights"
    assert RunDirectory(tmp_path / "out").config() == SWEEP


def test_missing_runs_are_named_and_what_the_whole_has_since_counts(tmp_path: Path) -> None:
    first = part(tmp_path / "0", (0, 3))
    merged = merge([first], tmp_path / "out")
    absent = [run for run in SWEEP.runs() if run not in dataclasses.replace(SWEEP, shard=(0, 3)).runs()]
    assert list(merged.missing) == absent
    merged.write(tmp_path / "out")
    write(tmp_path / "out" / "records.jsonl", [*merged.records, made(absent[0])])
    assert list(merge([first], tmp_path / "out").missing) == absent[1:]


def test_other_settings_are_refused_by_name_and_other_threads_are_said(tmp_path: Path) -> None:
    first = part(tmp_path / "0", (0, 2))
    other = dataclasses.replace(SWEEP, base=dataclasses.replace(SWEEP.base, epochs=7))
    with pytest.raises(RequestError, match=r"0 and .*1 are not of one sweep: epochs was 20, now 7\."):
        merge([first, part(tmp_path / "1", (1, 2), other)], tmp_path / "out")
    with pytest.raises(RequestError, match=r"rules was .*, now .*\."):
        merge([first, part(tmp_path / "2", (1, 2), dataclasses.replace(SWEEP, rules=("bp", "dfa")))], tmp_path / "out")
    more = dataclasses.replace(SWEEP, base=dataclasses.replace(SWEEP.base, threads=4))
    merged = merge([first, part(tmp_path / "3", (1, 2), more)], tmp_path / "out")
    assert merged.notes == ("parts ran with 1 and 4 threads: rounding may differ",)


def test_a_run_that_is_there_twice(tmp_path: Path) -> None:
    first, again = part(tmp_path / "0", (0, 2)), part(tmp_path / "1", (0, 2), seconds=9.0, started="later")
    assert len(merge([first, again], tmp_path / "out").records) == len(dataclasses.replace(SWEEP, shard=(0, 2)).runs())
    failed = part(tmp_path / "2", (0, 2), accuracy=None)
    merged = merge([failed, first], tmp_path / "out")
    assert {each.status for each in merged.records} == {"ok"}
    other = part(tmp_path / "3", (0, 2), accuracy=0.75)
    with pytest.raises(RequestError, match=r"0 and in .*3, with other results: test_accuracy is 0.5 and 0.75"):
        merge([first, other], tmp_path / "out")


def test_damaged_records_are_named_and_their_runs_missing(tmp_path: Path) -> None:
    folder = part(tmp_path / "0", (0, 1))
    lines = (folder / "records.jsonl").read_text().splitlines(keepends=True)
    (folder / "records.jsonl").write_text("".join(["{}\n", *lines[1:]]))
    merged = merge([folder], tmp_path / "out")
    assert len(merged.missing) == 1
    assert "records.jsonl, line 1" in merged.notes[0]


def test_a_run_of_another_grid_is_refused(tmp_path: Path) -> None:
    folder = part(tmp_path / "0", (0, 2))
    write(folder / "records.jsonl", [made(RunConfig(rule="ottt"))])
    with pytest.raises(RequestError, match="has ottt, seed 0, which is no run of its sweep"):
        merge([folder], tmp_path / "out")


def test_parts_beside_other_folders_are_not_merged_and_named(tmp_path: Path) -> None:
    first = part(tmp_path / "0", (0, 2))
    with RunDirectory(tmp_path / "1").open(SWEEP):
        pass
    folders, notes = parts([tmp_path], tmp_path / "out")
    assert folders == []
    assert notes == [f"{first}: a part of a sweep; to merge parts, name no other folders"]
    assert parts([tmp_path], tmp_path / "1") == ([first], []), "the folder of the whole is no part"
