"""How much memory is free: by Linux, by the limit of a container, or a careful guess."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from onchip.data import room


@pytest.mark.parametrize(
    ("memory", "limit", "expected"),
    [
        ("MemTotal: 9 kB\nMemAvailable:   4000 kB\n", None, 4_096_000),
        ("MemTotal: 9 kB\nMemAvailable:   4000 kB\n", "max", 4_096_000),
        ("MemTotal: 9 kB\nMemAvailable:   4000 kB\n", "1000000", 400_000),
        ("MemTotal: 9 kB\nMemAvailable:   4000 kB\n", "500000", 0),
        ("MemTotal: 9 kB\nMemAvailable:   4000 kB\n", "9000000", 4_096_000),
        ("MemTotal: 9 kB\n", None, room.UNKNOWN),
        (None, None, room.UNKNOWN),
    ],
    ids=["system", "no limit", "container", "full container", "wide container", "old system", "another system"],
)
def test_free_memory(
    memory: str | None, limit: str | None, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(room, "CGROUP", tmp_path)
    if memory is not None:
        (tmp_path / "meminfo").write_text(memory)
    if limit is not None:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text("610000\n")
        (tmp_path / "memory.stat").write_text("anon 600000\nfile 10000\n")
    assert room.host_room() == expected
    assert room.device_room(torch.device("meta")) == room.UNKNOWN
