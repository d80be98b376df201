"""Stored samples are what was stored, or none; and pickled, they stay on the disk."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from onchip.data import on_disk
from onchip.data.on_disk import OnDisk
from onchip.data.readers import sample_file
from onchip.data.readers.sample_file import HEADER, SampleFile
from onchip.errors import DataError

SHAPE = (5, 2, 3)
FRAMES = np.arange(30, dtype=np.uint8).reshape(SHAPE)


def cache(folder: Path, fingerprint: str = "a" * 64, count: int = 5) -> SampleFile:
    return SampleFile(folder / "new" / "frames.npy", fingerprint, count)


def put(folder: Path, frames: NDArray[np.uint8] = FRAMES) -> Path:
    cache(folder, count=len(frames)).write([frames[:2], frames[2:]])
    return folder / "new/frames.npy"


@pytest.fixture
def whole(tmp_path: Path) -> OnDisk:
    put(tmp_path)
    got = cache(tmp_path).read()
    assert got is not None
    return got


def test_what_was_put_is_got_and_numpy_reads_it(whole: OnDisk, tmp_path: Path) -> None:
    assert torch.equal(whole[:], torch.from_numpy(FRAMES))
    assert (np.load(tmp_path / "new/frames.npy", mmap_mode="r") == FRAMES).all()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["frames.npy"]


def test_rows_are_read_where_they_are_chosen(whole: OnDisk) -> None:
    chosen = whole.select(torch.tensor([4, 0, 2]))
    assert (len(chosen), chosen.shape, chosen.ndim) == (3, (3, 2, 3), 3)
    assert torch.equal(chosen[1:], torch.from_numpy(FRAMES[[0, 2]]))
    assert torch.equal(chosen.select(torch.tensor([2, 2]))[torch.tensor([1])], torch.from_numpy(FRAMES[[2]]))
    assert isinstance(whole.to("cpu"), OnDisk)
    moved = chosen.to("meta")
    assert isinstance(moved, torch.Tensor)
    assert moved.shape == (3, 2, 3)


def test_what_a_batch_writes_does_not_reach_the_file(whole: OnDisk, tmp_path: Path) -> None:
    whole[:].zero_()
    assert torch.equal(whole[:], torch.from_numpy(FRAMES))
    assert cache(tmp_path).read() is not None


def test_pickled_it_is_a_path_and_rows(whole: OnDisk, tmp_path: Path) -> None:
    big = (1000, 2, 30)
    put(tmp_path, np.zeros(big, dtype=np.uint8))
    got = cache(tmp_path, count=1000).read()
    assert got is not None
    content = pickle.dumps(got.select(torch.tensor([3])))
    assert len(content) < 2000
    assert pickle.loads(content).shape == (1, 2, 30)
    put(tmp_path)
    with pytest.raises(DataError, match=r"frames\.npy is no longer the file that was read"):
        pickle.loads(content)
    (tmp_path / "new/frames.npy").unlink()
    with pytest.raises(DataError, match=r"frames\.npy cannot be read"):
        pickle.loads(content)


@pytest.mark.parametrize(("fingerprint", "count"), [("b" * 64, 5), ("a" * 64, 4), ("a" * 63, 5)])
def test_another_fingerprint_or_number_is_a_miss(fingerprint: str, count: int, tmp_path: Path) -> None:
    put(tmp_path)
    assert cache(tmp_path, fingerprint, count).read() is None


@pytest.mark.parametrize("place", range(0, 286, 15))
def test_a_changed_byte_is_a_miss(place: int, whole: OnDisk, tmp_path: Path) -> None:
    path = tmp_path / "new/frames.npy"
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.unlink()
    path.write_bytes(content)
    assert cache(tmp_path).read() is None


@pytest.mark.parametrize("change", [lambda whole: b"", lambda whole: whole[:-1], lambda whole: whole + b"a"])
def test_another_length_is_a_miss(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    put(tmp_path)
    path = tmp_path / "new/frames.npy"
    path.write_bytes(change(path.read_bytes()))
    assert cache(tmp_path).read() is None


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_a_miss_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    (tmp_path / "new").mkdir()
    make(tmp_path / "new/frames.npy")
    assert cache(tmp_path).read() is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, DataError, MemoryError])
def test_when_binning_stops_the_old_file_stays(error: type[BaseException], whole: OnDisk, tmp_path: Path) -> None:
    def stopped() -> Iterator[NDArray[np.uint8]]:
        yield FRAMES[:1]
        raise error

    with pytest.raises(error):
        cache(tmp_path, "b" * 64).write(stopped())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["frames.npy"]
    assert cache(tmp_path).read() is not None


@pytest.mark.parametrize("alone", [True, False])
def test_what_a_killed_process_left_is_removed_and_what_another_writes_is_not(alone: bool, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    ours, old, alive, other = (
        tmp_path / "new" / f".{name}.part"
        for name in (f"frames.npy.{sample_file._host()}.1", "frames.npy.far.1", "frames.npy.far.2", "b.npy.far.1")
    )
    for path in (ours, old, alive, other):
        path.write_bytes(b"1")
    for path in (old, other):
        os.utime(path, (1, 1))
    cache(tmp_path).remove_left(alone=alone)
    left = {alive, other} if alone else {alive, other, ours}
    assert set((tmp_path / "new").iterdir()) == left


def no_digest(*_: object) -> None:
    raise AssertionError("the content was read")


def test_content_is_read_where_the_file_is_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(SampleFile, "_digest", no_digest)
        assert cache(tmp_path).read() is not None
    shutil.copy2(path, tmp_path / "copy")
    os.replace(tmp_path / "copy", path)
    with monkeypatch.context() as patched:
        patched.setattr(SampleFile, "_digest", no_digest)
        with pytest.raises(AssertionError, match="was read"):
            cache(tmp_path).read()
    assert cache(tmp_path).read() is not None
    monkeypatch.setattr(SampleFile, "_digest", no_digest)
    assert cache(tmp_path).read() is not None, "it was compared once"


def test_a_change_in_place_is_noticed_whatever_its_size(tmp_path: Path) -> None:
    path = put(tmp_path)
    with path.open("r+b") as file:
        file.seek(HEADER + 3)
        file.write(b"x")
    assert cache(tmp_path).read() is None


def test_a_file_that_is_replaced_is_read_on(whole: OnDisk, tmp_path: Path) -> None:
    put(tmp_path, 255 - FRAMES)
    assert torch.equal(whole[torch.tensor([3, 1])], torch.from_numpy(FRAMES[[3, 1]]))


def test_a_file_that_is_cut_short_is_named(whole: OnDisk, tmp_path: Path) -> None:
    os.truncate(tmp_path / "new/frames.npy", HEADER + 10)
    assert torch.equal(whole[:1], torch.from_numpy(FRAMES[:1]))
    with pytest.raises(DataError, match=r"frames\.npy was cut short"):
        whole[1:]


def test_rows_come_in_any_order_and_several_at_once(whole: OnDisk) -> None:
    for index in ([], [4], [0, 1, 2], [3, 3, 4, 0, 1], [1, 0, 4, 3, 2]):
        rows = torch.tensor(index, dtype=torch.int64)
        whole.announce(rows)
        assert torch.equal(whole[rows], torch.from_numpy(FRAMES)[rows])


def test_a_device_with_little_memory_gets_batches(whole: OnDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = whole.select(torch.tensor([4, 0, 2]))
    there = chosen.to("meta", room=17)
    assert isinstance(there, OnDisk)
    assert (there.device.type, len(there), there[:2].device.type) == ("meta", 3, "meta")
    here = there.to("cpu")
    assert torch.equal(here[:], torch.from_numpy(FRAMES[[4, 0, 2]]))
    monkeypatch.setattr(on_disk, "PIECE", 7)
    assert isinstance(chosen.to("meta", room=18), torch.Tensor)


def test_a_full_disk_is_noticed_before_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 71, 29))
    with pytest.raises(OSError, match=r"No space left on device: 0.00 GB are needed, 0.00 free.*frames.npy"):
        put(tmp_path)
    assert not list((tmp_path / "new").iterdir())


def test_what_another_process_has_written_is_counted(tmp_path: Path) -> None:
    counts = []

    def pieces() -> Iterator[NDArray[np.uint8]]:
        for each in FRAMES:
            yield np.tile(each[None], (1, 1000, 1))  # more than a file's buffer
            counts.append(cache(tmp_path).written())

    assert cache(tmp_path).written() == 0
    cache(tmp_path).write(pieces())
    assert counts[0] <= counts[1] <= counts[4]
    assert counts[4] in (4, 5), "of five, all but what is still in the buffer"
    assert cache(tmp_path).written() == 0
