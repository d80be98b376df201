"""Stored frames are what was stored, or none; and pickled, they stay on the disk."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from onchip.data.mapped import Mapped
from onchip.data.readers.frame_cache import FrameCache
from onchip.errors import DataError

SHAPE = (5, 2, 3)
FRAMES = np.arange(30, dtype=np.uint8).reshape(SHAPE)


def cache(folder: Path, fingerprint: str = "a" * 64, shape: tuple[int, ...] = SHAPE) -> FrameCache:
    return FrameCache(folder / "new" / "frames.npy", fingerprint, shape)


@pytest.fixture
def whole(tmp_path: Path) -> Mapped:
    cache(tmp_path).put(FRAMES)
    got = cache(tmp_path).get()
    assert got is not None
    return got


def test_what_was_put_is_got_and_numpy_reads_it(whole: Mapped, tmp_path: Path) -> None:
    assert torch.equal(whole[:], torch.from_numpy(FRAMES))
    assert (np.load(tmp_path / "new/frames.npy", mmap_mode="r") == FRAMES).all()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["frames.npy"]


def test_rows_are_read_where_they_are_chosen(whole: Mapped) -> None:
    chosen = whole.select(torch.tensor([4, 0, 2]))
    assert (len(chosen), chosen.shape, chosen.ndim) == (3, (3, 2, 3), 3)
    assert torch.equal(chosen[1:], torch.from_numpy(FRAMES[[0, 2]]))
    assert torch.equal(chosen.select(torch.tensor([2, 2]))[torch.tensor([1])], torch.from_numpy(FRAMES[[2]]))
    assert isinstance(whole.to("cpu"), Mapped)
    moved = chosen.to("meta")
    assert isinstance(moved, torch.Tensor)
    assert moved.shape == (3, 2, 3)


def test_what_a_batch_writes_does_not_reach_the_file(whole: Mapped, tmp_path: Path) -> None:
    whole[:].zero_()
    assert torch.equal(whole[:], torch.from_numpy(FRAMES))
    assert cache(tmp_path).get() is not None


def test_pickled_it_is_a_path_and_rows(whole: Mapped, tmp_path: Path) -> None:
    big = (1000, 2, 30)
    cache(tmp_path, shape=big).put(np.zeros(big, dtype=np.uint8))
    got = cache(tmp_path, shape=big).get()
    assert got is not None
    content = pickle.dumps(got.select(torch.tensor([3])))
    assert len(content) < 2000
    assert pickle.loads(content).shape == (1, 2, 30)
    cache(tmp_path).put(FRAMES)
    with pytest.raises(DataError, match=r"frames\.npy is no longer the file that was read"):
        pickle.loads(content)
    (tmp_path / "new/frames.npy").unlink()
    with pytest.raises(DataError, match=r"cannot be mapped"):
        pickle.loads(content)


@pytest.mark.parametrize(("fingerprint", "shape"), [("b" * 64, SHAPE), ("a" * 64, (5, 3, 2)), ("a" * 64, (4, 2, 3))])
def test_another_fingerprint_or_shape_is_a_miss(fingerprint: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    cache(tmp_path).put(FRAMES)
    assert cache(tmp_path, fingerprint, shape).get() is None


@pytest.mark.parametrize("place", range(0, 286, 15))
def test_a_changed_byte_is_a_miss(place: int, whole: Mapped, tmp_path: Path) -> None:
    path = tmp_path / "new/frames.npy"
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.unlink()
    path.write_bytes(content)
    assert cache(tmp_path).get() is None


@pytest.mark.parametrize("change", [lambda whole: b"", lambda whole: whole[:-1], lambda whole: whole + b"a"])
def test_another_length_is_a_miss(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    cache(tmp_path).put(FRAMES)
    path = tmp_path / "new/frames.npy"
    path.write_bytes(change(path.read_bytes()))
    assert cache(tmp_path).get() is None


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_a_miss_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    (tmp_path / "new").mkdir()
    make(tmp_path / "new/frames.npy")
    assert cache(tmp_path).get() is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, DataError, MemoryError])
def test_when_binning_stops_the_old_file_stays(error: type[BaseException], whole: Mapped, tmp_path: Path) -> None:
    def stopped() -> Iterator[NDArray[np.uint8]]:
        yield FRAMES[0]
        raise error

    with pytest.raises(error):
        cache(tmp_path, "b" * 64).put(stopped())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["frames.npy"]
    assert cache(tmp_path).get() is not None


def test_what_a_killed_process_left_is_removed_and_what_another_writes_is_not(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    left, alive, other = (tmp_path / "new" / f".{name}.part" for name in ("frames.npy.1", "frames.npy.2", "b.npy.1"))
    for path in (left, alive, other):
        path.write_bytes(b"1")
    for path in (left, other):
        os.utime(path, (1, 1))
    cache(tmp_path).put(FRAMES)
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"frames.npy", alive.name, other.name}
