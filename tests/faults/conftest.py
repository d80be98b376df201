"""The command line in processes of its own, which can be killed; see `Shell`."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.faults.child import main
from tests.patience import PATIENCE

TIMES = "seconds", "train_seconds", "samples_per_second", "started", "sha256"
"""What two equal runs need not share."""

# Processes are forked from one that has loaded torch: this saves each of them seconds.
CONTEXT = multiprocessing.get_context("forkserver")
PRELOADED = ["onchip.training.sweep", "onchip.report", "onchip.cli"]
CONTEXT.set_forkserver_preload(PRELOADED)


class Shell:
    """Starts `onchip` in a folder, with a temporary folder of its own.

    Args:
        folder: The folder; it must be empty.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.temporary = folder, folder / "tmp"
        self.temporary.mkdir()
        self._started: list[BaseProcess] = []

    def start(self, *arguments: str, largest_file: int | None = None) -> BaseProcess:
        """Start a command; see `child.main`."""
        process = CONTEXT.Process(target=main, args=(self.folder, arguments, largest_file))
        process.start()
        self._started.append(process)
        return process

    def end(self, process: BaseProcess) -> tuple[int | None, str]:
        """The exit code of a command at its end, and what it printed."""
        process.join(PATIENCE)
        return process.exitcode, (self.folder / "output").read_text()

    def run(self, *arguments: str, largest_file: int | None = None) -> tuple[int | None, str]:
        """Run a command to its end."""
        return self.end(self.start(*arguments, largest_file=largest_file))

    def begun(self, process: BaseProcess, out: str = "out") -> None:
        """Wait until a command has made its run folder."""
        until(lambda: (self.folder / out / "run.json").exists() or not process.is_alive())

    def results(self, out: str) -> tuple[list[dict[str, Any]], dict[str, dict[str, torch.Tensor]]]:
        """See `results`."""
        return results(self.folder / out)

    def files(self, out: str) -> set[str]:
        """Paths of all files in a run folder."""
        return {str(path.relative_to(self.folder / out)) for path in (self.folder / out).rglob("*") if path.is_file()}

    def others(self, process: BaseProcess, having: str = "") -> set[int]:
        """Processes that a command has started and that are alive; empty where there is no /proc to say.

        Args:
            process: The command.
            having: Text that stands in their command lines.
        """
        found = set()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                state, _, group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
                command = (folder / "cmdline").read_text()
            except OSError:  # it has ended
                continue
            if int(group) == process.pid != int(folder.name) and state != "Z" and having in command:
                found.add(int(folder.name))
        return found

    def left(self, process: BaseProcess) -> list[str]:
        """What a command that has ended left behind: processes, semaphores and temporary files."""
        files = [*self.temporary.iterdir(), *Path("/dev/shm").glob(f"*loky-{process.pid}-*")]
        return [*map(str, sorted(self.others(process))), *map(str, files)]

    def close(self) -> None:
        """End what still runs."""
        for process in self._started:
            process.kill()
            process.join(PATIENCE)
            for number in self.others(process):
                os.kill(number, signal.SIGKILL)


def results(folder: Path) -> tuple[list[dict[str, Any]], dict[str, dict[str, torch.Tensor]]]:
    """The records of a run folder without their times, by rule and seed, and the weights by their files' names."""
    records = []
    for line in (folder / "records.jsonl").read_text().splitlines():
        record = {name: value for name, value in json.loads(line).items() if name not in TIMES}
        record["history"] = [{**epoch, "seconds": 0} for epoch in record["history"]]
        records.append(record)
    weights = {file.name: load_file(file) for file in folder.glob("weights/*.safetensors")}
    return sorted(records, key=lambda record: (record["label"], record["seed"])), weights


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
