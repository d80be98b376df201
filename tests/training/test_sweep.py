from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from onchip.data import Dataset
from onchip.errors import DataError, DivergedError, RequestError, UnsupportedError
from onchip.runs.config import RunConfig
from onchip.runs.directory import RunDirectory, next_directory, slug
from onchip.runs.record import Record, read
from onchip.runs.sweep_config import RULES, SweepConfig
from onchip.training import sweep as module
from onchip.training.builder import load_data
from onchip.training.clusters import Pool
from onchip.training.loop import train
from onchip.training.sweep import check, compare, trainable

SMALL = RunConfig(net="mlp", train_size=20, steps=1, epochs=1)
REQUEST = SweepConfig(SMALL, ("bp", "dfa"), (0, 1))


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_data(SMALL)


def names(records: list[Record]) -> list[tuple[str, int]]:
    return [(record.label, record.seed) for record in records]


def test_records_come_one_by_one_and_are_stored_first(data: Dataset, tmp_path: Path) -> None:
    seen = []
    for record in compare(REQUEST, data, tmp_path / "new" / "folder"):
        seen.append(record)
        assert read(tmp_path / "new" / "folder" / "records.jsonl") == seen
    assert names(seen) == [("bp", 0), ("dfa", 0), ("bp", 1), ("dfa", 1)]
    assert not (tmp_path / "new" / "folder" / "checkpoints").exists()
    request = (tmp_path / "new" / "folder" / "run.json").read_text()
    assert SweepConfig.from_json(request) == dataclasses.replace(REQUEST, base=dataclasses.replace(SMALL, threads=1))


def test_an_interrupted_comparison_goes_on_where_it_was(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = list(compare(REQUEST, data, tmp_path / "whole"))
    first = next(compare(REQUEST, data, tmp_path / "parts"))
    trained = []

    def counted(config: RunConfig, *args: object, **options: object) -> Record:
        trained.append((config.rule, config.seed))
        return train(config, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "train", counted)
    resumed = list(compare(REQUEST, data, tmp_path / "parts", resume=True))
    assert resumed[0] == first
    assert trained == names(whole)[1:]
    assert [record.test_accuracy for record in resumed] == [record.test_accuracy for record in whole]
    assert [record.ledger for record in resumed] == [record.ledger for record in whole]


@pytest.mark.parametrize(
    ("failure", "reason"), [(DivergedError("lost"), "lost"), (RuntimeError("no memory"), "RuntimeError: no memory")]
)
def test_a_failed_run_is_recorded_and_the_rest_go_on(
    failure: Exception, reason: str, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(config: RunConfig, *args: object, **options: object) -> Record:
        if config.rule == "bp":
            raise failure
        return train(config, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "train", failing)
    records = list(compare(dataclasses.replace(REQUEST, seeds=(0,)), data, tmp_path / "out"))
    assert [record.status for record in records] == ["failed", "ok"]
    assert records[0].error == reason
    assert read(tmp_path / "out" / "records.jsonl") == records


@pytest.mark.parametrize(("damage", "jobs"), [("cut", 1), ("empty", 1), ("fifo", 1), ("weights", 1), ("cut", 2)])
def test_a_run_with_a_bad_checkpoint_begins_again_and_the_rest_go_on(
    damage: str, jobs: int, data: Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = list(compare(REQUEST, data, tmp_path / "whole"))
    path = tmp_path / "parts" / "checkpoints" / "dfa-seed0.safetensors"
    next(compare(REQUEST, data, tmp_path / "parts"))
    train(REQUEST.runs()[1], data, save_to=path)
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[:-9])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "fifo":
        path.unlink()
        os.mkfifo(path)
    else:
        save_file({"0.weight": torch.ones(2)}, path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        resumed = list(compare(REQUEST, data, tmp_path / "parts", resume=True, jobs=jobs))
    said = capfd.readouterr().err + "".join(str(each.message) for each in caught)
    assert "checkpoint dfa-seed0.safetensors cannot be used: it" in said
    assert "dfa with seed 0 begins again" in said
    assert {(r.label, r.seed): r.ledger for r in resumed} == {(r.label, r.seed): r.ledger for r in whole}


def test_a_checkpoint_that_cannot_be_replaced_fails_its_run_alone(data: Dataset, tmp_path: Path) -> None:
    request = dataclasses.replace(REQUEST, seeds=(0,))
    compare(request, data, tmp_path)
    (tmp_path / "checkpoints" / "bp-seed0.safetensors").mkdir(parents=True)
    records = list(compare(request, data, tmp_path, resume=True))
    assert [record.status for record in records] == ["failed", "ok"]
    assert "cannot be used: it cannot be read" in str(records[0].error)


def test_failed_runs_are_tried_again_and_replaced(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(config: RunConfig, *args: object, **options: object) -> Record:
        if config.rule == "bp":
            raise DivergedError("lost")
        return train(config, *args, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(module, "train", failing)
        list(compare(REQUEST, data, tmp_path))
    resumed = list(compare(REQUEST, data, tmp_path, resume=True))
    assert names(resumed) == [("dfa", 0), ("dfa", 1), ("bp", 0), ("bp", 1)]
    assert {record.status for record in resumed} == {"ok"}
    assert read(tmp_path / "records.jsonl") == resumed


def test_a_run_that_is_recorded_twice_counts_once(data: Dataset, tmp_path: Path) -> None:
    whole = list(compare(REQUEST, data, tmp_path))
    records = tmp_path / "records.jsonl"
    records.write_text(records.read_text() * 2)
    assert list(compare(REQUEST, data, tmp_path, resume=True)) == whole


def test_a_folder_in_use_is_refused_until_its_runs_end(data: Dataset, tmp_path: Path) -> None:
    running = compare(REQUEST, data, tmp_path)
    next(running)
    for resume, force in ((True, False), (False, True), (False, False)):
        with pytest.raises(RequestError, match="is in use by process"):
            compare(REQUEST, data, tmp_path, resume=resume, force=force)
    running.close()
    assert len(list(compare(REQUEST, data, tmp_path, resume=True))) == 4


def test_parts_of_files_from_a_killed_process_are_removed(data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    parts = [tmp_path / ".run.json.1.part", tmp_path / "weights" / ".bp-seed0.safetensors.1.part"]
    for part in parts:
        part.touch()
    compare(REQUEST, data, tmp_path)
    assert not any(part.exists() for part in parts)


def test_weights_are_kept_when_asked_for(data: Dataset, tmp_path: Path) -> None:
    list(compare(dataclasses.replace(REQUEST, seeds=(0,), keep_weights=True), data, tmp_path))
    weights = load_file(tmp_path / "weights" / "bp-seed0.safetensors")
    assert weights["1.weight"].shape == (256, 64)


def test_refuses_a_folder_with_another_run(data: Dataset, tmp_path: Path) -> None:
    compare(REQUEST, data, tmp_path)
    with pytest.raises(RequestError, match="already holds a run"):
        compare(REQUEST, data, tmp_path)
    with pytest.raises(RequestError, match=r"epochs was 1, now 9"):
        compare(dataclasses.replace(REQUEST, base=dataclasses.replace(SMALL, epochs=9)), data, tmp_path, resume=True)


@pytest.mark.parametrize(("jobs", "elsewhere", "in_workers"), [(1, False, False), (2, False, True), (1, True, True)])
def test_runs_are_in_workers_if_there_are_several_or_an_executor(
    jobs: int, elsewhere: bool, in_workers: bool, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []

    def workers(work: object, configs: list[RunConfig], *_: object, **__: object) -> Iterator[tuple[RunConfig, Record]]:
        sent.extend(configs)
        yield from ()

    monkeypatch.setattr(module, "run_in_workers", workers)
    pool = Pool(ThreadPoolExecutor(1)) if elsewhere else None
    records = list(compare(REQUEST, data, tmp_path, jobs=jobs, workers=pool))
    assert bool(sent) is in_workers
    assert bool(records) is not in_workers


def test_force_replaces_what_is_ours_and_nothing_else(data: Dataset, tmp_path: Path) -> None:
    list(compare(dataclasses.replace(REQUEST, seeds=(0,), keep_weights=True), data, tmp_path))
    (tmp_path / "notes.txt").write_text("mine")
    compare(dataclasses.replace(REQUEST, seeds=(5,)), data, tmp_path, force=True)
    assert {file.name for file in tmp_path.iterdir()} == {".lock", "run.json", "notes.txt"}


def test_refuses_to_resume_nothing(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no run to resume"):
        compare(REQUEST, data, tmp_path, resume=True)


def test_names_a_damaged_request(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"rules": ')
    with pytest.raises(DataError, match=r"run\.json is damaged"):
        RunDirectory(tmp_path).config()


def test_a_file_is_no_folder(data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match="file"):
        compare(REQUEST, data, tmp_path / "file")


def test_a_wrong_request_leaves_no_folder(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(RequestError):
        compare(dataclasses.replace(REQUEST, rules=("bp", "nonsense")), data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_refuses_one_rule_under_two_names(data: Dataset) -> None:
    with pytest.raises(RequestError, match="are the same"):
        check(dataclasses.replace(REQUEST, rules=("fbp", "fbp:budget=none")), data)


def test_every_rule_is_checked_before_any_trains(data: Dataset) -> None:
    request = SweepConfig(dataclasses.replace(SMALL, neuron="ttfs"), ("bp", "ottt"), (0,))
    with pytest.raises(UnsupportedError, match="ottt"):
        check(request, data)


def test_finds_the_rules_that_can_train(data: Dataset) -> None:
    fitting, reasons = trainable(dataclasses.replace(SMALL, neuron="ttfs"), data)
    assert "ottt" not in fitting
    assert "bp" in fitting
    assert len(fitting) + len(reasons) == len(RULES)
    assert trainable(SMALL, data) == (list(RULES), [])


def test_names_for_files() -> None:
    texts = ["fbp:period=1", "fbp:period=-1", "fbp:period=1;transport=top:0.1", "fbp"]
    assert len({slug(text) for text in texts}) == len(texts)
    assert slug("folder:/a b/c") == "folder_a_b_c"


def test_a_new_folder_takes_the_next_number(tmp_path: Path) -> None:
    assert next_directory(tmp_path, "a").name == "a-1"
    (tmp_path / "a-1").mkdir()
    assert next_directory(tmp_path, "a").name == "a-2"
