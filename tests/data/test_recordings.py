"""Recordings are binned once, read from the disk, and binned again when anything about their files changes."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from onchip.data import Split, batches
from onchip.data.on_disk import OnDisk
from onchip.data.progress import watching
from onchip.data.recordings import EventFile, read_splits
from onchip.errors import DataError

SHAPE = (1, 1, 2, 3)


class Files:
    """Files of two recordings each, and how often they were read."""

    def __init__(self, root: Path, count: int = 4) -> None:
        self.reads = 0
        self.files = []
        for index in range(count):
            path = root / f"{index}.events"
            path.write_text(str(index))
            self.files.append(EventFile(path, (index, index + 10), partial(self.read, path)))

    def read(self, path: Path) -> Iterator[NDArray[np.uint8]]:
        self.reads += 1
        for place in (0, 100):
            yield np.full(SHAPE, int(path.read_text()) + place, dtype=np.uint8)

    def splits(self, root: Path, *, again: bool = False) -> list[Split]:
        return read_splits("some", root, SHAPE, [self.files[:3], self.files[3:]], again=again)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_the_splits_hold_every_recording_with_its_label(files: Files, tmp_path: Path) -> None:
    train, test = files.splits(tmp_path)
    assert train.samples[:, 0, 0, 0, 0].tolist() == [0, 100, 1, 101, 2, 102]
    assert train.labels.tolist() == [0, 10, 1, 11, 2, 12]
    assert test.samples[:, 0, 0, 1, 2].tolist() == [3, 103]
    assert test.labels.tolist() == [3, 13]


def test_files_are_read_once_and_batches_come_from_the_disk(files: Files, tmp_path: Path) -> None:
    first, _ = files.splits(tmp_path)
    again, _ = files.splits(tmp_path)
    assert files.reads == 4
    assert torch.equal(first.samples, again.samples)
    assert isinstance(again.stored, OnDisk)
    assert isinstance(again.take(torch.tensor([3, 1])).stored, OnDisk)
    got = torch.cat([images for images, _ in batches(again, 4, shuffle=False)])
    assert torch.equal((got * 255).round().to(torch.uint8), first.samples)
    assert len(pickle.dumps(again)) < 3000
    assert torch.equal(pickle.loads(pickle.dumps(again)).samples, first.samples)


@pytest.mark.parametrize("change", ["content", "name", "label", "again"])
def test_a_change_is_noticed(change: str, files: Files, tmp_path: Path) -> None:
    files.splits(tmp_path)
    last = files.files[-1]
    if change == "content":
        last.path.write_text("7")
    elif change == "name":
        files.files[-1] = dataclasses.replace(last, path=last.path.rename(tmp_path / "other"))
        files.files[-1] = dataclasses.replace(files.files[-1], read=partial(files.read, tmp_path / "other"))
    elif change == "label":
        files.files[-1] = dataclasses.replace(last, labels=(5, 5))
    _, test = files.splits(tmp_path, again=change == "again")
    assert files.reads == 8
    assert test.samples[0, 0, 0, 0, 0] == (7 if change == "content" else 3)


def test_damaged_frames_are_made_again(files: Files, tmp_path: Path) -> None:
    whole = files.splits(tmp_path)[0].samples
    (path,) = (tmp_path / "binned").glob("*.npy")
    content = bytearray(path.read_bytes())
    content[140] ^= 1
    path.unlink()
    path.write_bytes(content)
    assert torch.equal(files.splits(tmp_path)[0].samples, whole)
    assert files.reads == 8


@pytest.mark.parametrize("error", [KeyboardInterrupt, DataError])
def test_binning_that_stops_leaves_nothing(error: type[BaseException], files: Files, tmp_path: Path) -> None:
    def stop(_: str, done: int, __: int) -> None:
        if done == 3:
            raise error

    with pytest.raises(error), watching(stop):
        files.splits(tmp_path)
    assert [path.suffix for path in (tmp_path / "binned").iterdir()] == [".lock"]
    assert len(files.splits(tmp_path)[0]) == 6


def test_progress_is_reported(files: Files, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    with watching(lambda *each: seen.append(each)):
        files.splits(tmp_path)
    assert seen == [("some: recordings binned", done, 8) for done in range(9)]
    files.splits(tmp_path)
    assert len(seen) == 9, "nobody watches any more"


def test_where_nothing_can_be_stored_frames_stay_in_memory(files: Files, tmp_path: Path) -> None:
    (tmp_path / "binned").write_text("in the way")
    with pytest.warns(UserWarning, match=r"frames could not be stored .*in memory"):
        train, test = files.splits(tmp_path)
    assert isinstance(train.stored, torch.Tensor)
    assert train.samples[:, 0, 0, 0, 0].tolist() == [0, 100, 1, 101, 2, 102]
    assert len(test) == 2


def test_a_file_with_fewer_recordings_than_labels_is_named(files: Files, tmp_path: Path) -> None:
    files.files[1] = dataclasses.replace(files.files[1], labels=(1, 2, 3))
    with pytest.raises(DataError, match=r"1\.events has 2 recordings; expected 3"):
        files.splits(tmp_path)


def test_a_file_that_went_away_is_named(files: Files, tmp_path: Path) -> None:
    files.files[1].path.unlink()
    with pytest.raises(DataError, match=r"1\.events cannot be read"):
        files.splits(tmp_path)
