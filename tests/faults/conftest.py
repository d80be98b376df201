"""The command line in processes of its own, which can be killed; see `Shell`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import onchip

PATIENCE = 120.0
"""Seconds after which a test that waits has failed: many times what it takes on a busy machine."""
TIMES = "seconds", "train_seconds", "samples_per_second", "started", "sha256"
"""What two equal runs need not share."""


class Shell:
    """Starts `onchip` in a folder of its own, with a temporary folder of its own.

    Args:
        folder: The folder; it must be empty.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.temporary = folder, folder / "tmp"
        self.temporary.mkdir()
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command, as the leader of a group of processes."""
        source = str(Path(onchip.__file__).parents[1])
        ours = {"PYTHONPATH": source, "TMPDIR": str(self.temporary), "OMP_NUM_THREADS": "2"}
        process = subprocess.Popen(
            [sys.executable, "-m", "onchip", *arguments],
            cwd=self.folder,
            env={**os.environ, **ours},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,
        )
        self._started.append(process)
        return process

    def run(self, *arguments: str) -> str:
        """Run a command to its end, which must be a good one. Returns what it wrote to standard error."""
        process = self.start(*arguments)
        _, error = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, error
        return error

    def results(self, out: str) -> tuple[list[dict[str, Any]], dict[str, dict[str, torch.Tensor]]]:
        """The records of a run folder without their times, by rule and seed, and the weights by their files' names."""
        records = []
        for line in (self.folder / out / "records.jsonl").read_text().splitlines():
            record = {name: value for name, value in json.loads(line).items() if name not in TIMES}
            record["history"] = [{**epoch, "seconds": 0} for epoch in record["history"]]
            records.append(record)
        weights = {file.name: load_file(file) for file in (self.folder / out).glob("weights/*.safetensors")}
        return sorted(records, key=lambda record: (record["label"], record["seed"])), weights

    def files(self, out: str) -> set[str]:
        """Paths of all files in a run folder."""
        return {str(path.relative_to(self.folder / out)) for path in (self.folder / out).rglob("*") if path.is_file()}

    def others(self, process: subprocess.Popen[str]) -> set[int]:
        """Processes of a command's group, other than itself, that are alive; empty where /proc does not say."""
        found = set()
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, group = status.read_text().rpartition(")")[2].split()[:3]
            except OSError:  # it has ended
                continue
            if int(group) == process.pid and state != "Z" and int(status.parent.name) != process.pid:
                found.add(int(status.parent.name))
        return found

    def left(self, process: subprocess.Popen[str]) -> list[str]:
        """What a command that has ended left behind: processes, semaphores and temporary files."""
        files = [*self.temporary.iterdir(), *Path("/dev/shm").glob(f"*loky-{process.pid}-*")]
        return [*map(str, sorted(self.others(process))), *map(str, files)]

    def close(self) -> None:
        """End what still runs."""
        for process in self._started:
            for number in {process.pid, *self.others(process)} if process.poll() is None else self.others(process):
                os.kill(number, signal.SIGKILL)
            process.communicate()


def until(true: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.01)


def assert_same(one: tuple[Any, Any], other: tuple[Any, Any]) -> None:
    """Results of two runs are equal, bit for bit."""
    assert one[0] == other[0]
    assert one[1].keys() == other[1].keys()
    for name, weights in one[1].items():
        assert weights.keys() == other[1][name].keys()
        for key, value in weights.items():
            assert torch.equal(value.view(torch.int32), other[1][name][key].view(torch.int32)), (name, key)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path)
    yield made
    made.close()
