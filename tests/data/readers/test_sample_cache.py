"""Samples are made by one process, once, and kept in memory where they cannot be stored and fit."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

from onchip.data.on_disk import OnDisk
from onchip.data.progress import watching
from onchip.data.readers import sample_cache
from onchip.data.readers.sample_cache import SampleCache
from onchip.data.readers.sample_file import SampleFile
from onchip.errors import DataError
from tests.patience import PATIENCE

SAMPLES = np.arange(40, dtype=np.uint8).reshape(10, 4)


def cache(folder: Path, fingerprint: str = "a" * 64) -> SampleCache:
    return SampleCache(folder / "made" / "some.npy", fingerprint, 10, "some samples")


class Maker:
    """Gives the samples in pieces, and counts how often it was asked to."""

    def __init__(self, at: Callable[[int], object] = lambda place: None) -> None:
        self.asked, self.at = 0, at

    def __call__(self) -> Iterator[NDArray[np.uint8]]:
        self.asked += 1
        for place in range(0, 10, 4):
            self.at(place)
            yield SAMPLES[place : place + 4].copy()


def test_samples_are_made_once(tmp_path: Path) -> None:
    make = Maker()
    for _ in range(2):
        got = cache(tmp_path).samples(make)
        assert isinstance(got, OnDisk)
        assert torch.equal(got[:], torch.from_numpy(SAMPLES))
    assert make.asked == 1
    cache(tmp_path).samples(make, again=True)
    cache(tmp_path, "b" * 64).samples(make)
    assert make.asked == 3


def test_another_waits_says_for_whom_and_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_cache, "POLL", 0.01)
    began, waited = threading.Event(), threading.Event()

    def pause(place: int) -> None:
        began.set()
        assert waited.wait(PATIENCE)

    first, second = Maker(pause), Maker()
    said: list[tuple[str, int, int]] = []
    got: dict[str, Any] = {}

    def listen(*each: Any) -> None:
        said.append(each)
        waited.set()

    def begin() -> None:
        got["first"] = cache(tmp_path).samples(first)

    def wait() -> None:
        assert began.wait(PATIENCE)
        with watching(listen):
            got["second"] = cache(tmp_path).samples(second)

    threads = [threading.Thread(target=each) for each in (begin, wait)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert (first.asked, second.asked) == (1, 0)
    assert torch.equal(got["first"][:], got["second"][:])
    what, done, total = said[0]
    assert what.startswith(f"waiting for process {os.getpid()} on ")
    assert what.endswith(f"which stores some samples in {tmp_path / 'made/some.npy'}")
    assert 0 <= done <= total == 10


CHILD = """
import sys, time
from pathlib import Path
import numpy as np
from onchip.data.readers.sample_cache import SampleCache

def pieces():
    for _ in range(10):
        yield np.zeros((1, 100_000), np.uint8)
        print("piece", flush=True)
        time.sleep(600)

SampleCache(Path(sys.argv[1]), "a" * 64, 10, "some samples").samples(pieces)
"""


def interrupt(*_: object) -> None:
    """What Ctrl-C does, also where a shell has told the tests to ignore it."""
    raise KeyboardInterrupt


def test_when_a_process_is_killed_the_next_makes_the_samples(tmp_path: Path) -> None:
    path = tmp_path / "made/some.npy"
    with subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"piece\n"
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt), watching(interrupt):
            cache(tmp_path).samples(Maker())  # waits, until it is interrupted
        assert time.monotonic() - began < PATIENCE
        assert list(path.parent.glob(".*.part"))
        child.kill()
    make = Maker()
    assert len(cache(tmp_path).samples(make)) == 10
    assert make.asked == 1
    assert {each.name for each in path.parent.iterdir()} == {"some.npy", ".some.npy.lock"}


def test_a_file_system_without_locks_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def acquire(*_: object, **__: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(FileLock, "acquire", acquire)
    assert isinstance(cache(tmp_path).samples(Maker()), OnDisk)


def unwritable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "made").write_text("in the way")


def full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(self: SampleFile, pieces: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(self.path))

    monkeypatch.setattr(SampleFile, "write", write)


def forgetful(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SampleFile, "write", lambda *_: None)


FAULTS = {"unwritable": unwritable, "full": full, "forgetful": forgetful}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_stored_stays_in_memory(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FAULTS[fault](tmp_path, monkeypatch)
    with pytest.warns(UserWarning, match=r"some samples could not be stored \(.*\); they stay in memory .*--data-root"):
        got = cache(tmp_path).samples(Maker())
    assert isinstance(got, Tensor)
    assert torch.equal(got, torch.from_numpy(SAMPLES))


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_fit_into_memory_either_is_refused(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FAULTS[fault](tmp_path, monkeypatch)
    monkeypatch.setattr(sample_cache, "host_room", lambda: 79)
    with pytest.raises(DataError, match=r"could not be stored \(.*\), and they take .* more than half .*--data-root"):
        cache(tmp_path).samples(Maker())
    monkeypatch.setattr(sample_cache, "host_room", lambda: 80)
    with pytest.warns(UserWarning, match="stay in memory"):
        cache(tmp_path).samples(Maker())
