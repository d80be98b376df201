"""What is not a regular file, where one is expected: refused at once, not waited for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from onchip import report
from onchip.chips import chip
from onchip.cli.shared.config import read_config
from onchip.data import load
from onchip.data.datasets import find
from onchip.data.readers.aedat import read_aedat4, read_caer, read_jaer
from onchip.data.readers.events import read_bin
from onchip.data.readers.files import read_array, read_lines
from onchip.data.readers.idx import read_pair
from onchip.data.readers.pictures import decode
from onchip.data.readers.shd import read_labels
from onchip.data.readers.ts import read_ts
from onchip.errors import OnchipError
from onchip.runs import checkpoint
from onchip.runs.config import RunConfig
from onchip.runs.directory import RunDirectory
from onchip.runs.record import read
from onchip.runs.sweep_config import SweepConfig
from onchip.training.inputs import samples_of
from onchip.training.trained import load as load_model
from tests.fuzz.mutants import limited

READERS: dict[str, Callable[[Path], object]] = {
    "run.json": lambda path: RunDirectory(path.parent).config(),
    "records.jsonl": read,
    "model.json": lambda path: load_model(path.parent),
    "samples.npy": lambda path: samples_of(path, None),
    "sample.png": lambda path: samples_of(path, None),
    "records": lambda path: report.gather([path]),
    "checkpoint": checkpoint.load,
    "run.toml": lambda path: read_config(path, ["net"]),
    "chip.toml": lambda path: chip(str(path)),
    "a.bin": lambda path: read_bin(path, (34, 34)),
    "jaer.aedat": read_jaer,
    "caer.aedat": read_caer,
    "a.aedat4": read_aedat4,
    "a.npy": read_array,
    "a.csv": read_lines,
    "a.h5": lambda path: read_labels(path, 20),
    "images": lambda path: read_pair(path, path, size=(3, 5), classes=10),
    "a.png": lambda path: decode([path]),
    "a.ts": read_ts,
}
MAKERS: dict[str, Callable[[Path], None]] = {
    "fifo": os.mkfifo,
    "folder": os.mkdir,
    "device": lambda path: os.symlink("/dev/zero", path),
    "loop": lambda path: os.symlink(path, path),
}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("name", READERS)
def test_is_refused_at_once(name: str, kind: str, tmp_path: Path) -> None:
    MAKERS[kind](tmp_path / name)
    if (name, kind) == ("records.jsonl", "loop"):  # to `Path.exists`, a link to nothing
        assert read(tmp_path / name) == []
        return
    with limited(), pytest.raises(OnchipError) as caught:
        READERS[name](tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["fifo", "device"])
@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100", "n-mnist", "dvs-cifar10", "dvs-gesture", "shd"])
def test_a_data_set_of_such_files_is_refused_at_once(name: str, kind: str, tmp_path: Path) -> None:
    for file in find(name).files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        MAKERS[kind](tmp_path / file)
    with limited(), pytest.raises(OnchipError):
        load(name, root=tmp_path)


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_a_folder_with_such_a_picture_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        MAKERS[kind](tmp_path / name / "1.png")
    with limited(), pytest.raises(OnchipError):
        load(f"folder:{tmp_path}", root=tmp_path)


@pytest.mark.parametrize(
    "name", ["folder:a\0b", "folder:~nobody-of-this-name/x", "folder:\ud800", "ts:a\0b", "ts:\ud800", "a\0b", "\ud800"]
)
def test_a_name_that_no_file_has_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(OnchipError):
        load(name, root=tmp_path)


@pytest.mark.parametrize("path", ["a\0b", "~nobody-of-this-name/x", "x" * 5000, "\ud800"])
def test_a_path_that_no_file_has_is_refused(path: str) -> None:
    for read_it in (READERS["checkpoint"], READERS["records"], READERS["run.toml"], READERS["a.bin"], READERS["a.png"]):
        with pytest.raises(OnchipError):
            read_it(Path(path))
    with pytest.raises(OnchipError):
        load("mnist", root=path)
    with pytest.raises(OnchipError):
        RunDirectory(Path(path)).open(SweepConfig(RunConfig(), ("bp",), (0,)), resume=True)
