"""How much memory is free, for samples that may be kept in it."""

from __future__ import annotations

from pathlib import Path

import torch

MEMORY = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")
"""Where Linux says how much memory there is, and how much a container may have."""

UNKNOWN = 2**32
"""Bytes that are taken to be free where the system does not say it."""


def host_room() -> int:
    """Bytes of main memory that can be had without swapping."""
    free = UNKNOWN
    try:
        facts = dict(line.split(":", 1) for line in MEMORY.read_text(encoding="ascii").splitlines())
        free = int(facts["MemAvailable"].split()[0]) * 1024
        limit, used = (int((CGROUP / name).read_text(encoding="ascii")) for name in ("memory.max", "memory.current"))
        lines = (CGROUP / "memory.stat").read_text(encoding="ascii").splitlines()
        cached = int(dict(line.split() for line in lines)["file"])  # of files, which are read again when it is needed
        return min(free, max(0, limit - used + cached))
    except (OSError, ValueError, LookupError):  # another system, or no limit, which is the word "max"
        return free


def device_room(device: torch.device) -> int:
    """Bytes that are free on a device."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else UNKNOWN
