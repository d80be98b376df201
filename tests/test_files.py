from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from onchip._files import write_whole


def test_replaces_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", "old")
    write_whole(tmp_path / "a", "née")
    assert (tmp_path / "a").read_text(encoding="utf-8") == "née"
    assert os.listdir(tmp_path) == ["a"]


def test_a_failure_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(tmp_path / "a", b"old")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"disk full: '.*/a'"):
        write_whole(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]
