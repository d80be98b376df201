from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from onchip.errors import RequestError
from onchip.runs.lock import LOCK, DirectoryLock


def test_one_holder_at_a_time_and_the_next_one_learns_who(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path):
        with pytest.raises(RequestError, match=rf"in use by process {os.getpid()} on .+ since \d{{4}}-"):
            DirectoryLock(tmp_path)
        with pytest.raises(RequestError, match="in use by process"):  # the refused one left the lock as it was
            DirectoryLock(tmp_path)
    with DirectoryLock(tmp_path):
        pass


def test_what_an_ended_process_left_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("process 1 on elsewhere since long ago\n")
    with DirectoryLock(tmp_path):
        assert f"process {os.getpid()} " in (tmp_path / LOCK).read_text()


def test_a_lock_that_nothing_refers_to_is_released(tmp_path: Path) -> None:
    held = DirectoryLock(tmp_path)
    del held
    with DirectoryLock(tmp_path):
        pass


@pytest.mark.parametrize("reason", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_refuses_a_file_system_without_locks(reason: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(RequestError, match="without locks"):
        DirectoryLock(tmp_path)
