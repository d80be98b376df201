"""The status file of a run: its worker writes progress into it as long as it is there, and another process reads it."""

import contextlib
import dataclasses
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from onchip.runs.config import RunConfig
from onchip.runs.record import Epoch
from onchip.training.progress import ProgressListener

BEGUN, EPOCH_BEGINS, STEPPED, EPOCH_ENDED = "begun", "epoch_begins", "stepped", "epoch_ended"
BEAT = 5.0
"""Seconds between two signs of life of the process that submits runs."""


class RunEnded(BaseException):
    """Nobody waits for this run any more, or another worker has it. No error, so that no handler of errors keeps it."""


class StatusFile(ProgressListener):
    """A worker's end: progress callbacks that write lines, and end the run when nobody reads them.

    Args:
        file: The file. Who submitted the run made it, and removes it when the run is to end.
        alive: The file of `beating`; None where a worker ends by other means.
        interval: Seconds between two reports, and between two looks at `alive`.
        patience: Seconds without a sign of life in `alive` after which the run ends.
    """

    def __init__(self, file: Path, alive: Path | None, interval: float, patience: float) -> None:
        self._file, self._alive, self._interval, self._patience = file, alive, interval, patience
        self._losses, self._written = list[float](), 0.0
        self._beat, self._since = b"", time.monotonic()

    def claim(self) -> None:
        """Take the run: of several workers to which an executor gives one submission, the first has it.

        Raises:
            RunEnded: The run is another worker's, or is to end.
        """
        try:
            with self._file.with_suffix(".claim").open("x") as claim:
                claim.write(f"process {os.getpid()} on {socket.gethostname()}")
        except (FileExistsError, FileNotFoundError):
            raise RunEnded from None
        self._write(BEGUN)

    def wait_for(self, lock: threading.Lock) -> None:
        """Acquire a lock, or raise RunEnded."""
        while not lock.acquire(timeout=self._interval):
            self._write(STEPPED, 0, 0.0)

    def epoch_begins(self, epoch: int, steps: int) -> None:
        self._write(EPOCH_BEGINS, epoch, steps)

    def stepped(self, loss: float) -> None:
        self._losses.append(loss)
        if time.monotonic() - self._written >= self._interval:
            self._write_steps()

    def epoch_ended(self, epoch: Epoch) -> None:
        self._write_steps()
        self._write(EPOCH_ENDED, *dataclasses.astuple(epoch))

    def _write_steps(self) -> None:
        steps = len(self._losses)
        self._write(STEPPED, steps, sum(self._losses) / max(steps, 1))
        self._written = time.monotonic()
        self._losses.clear()

    def _write(self, event: str, *details: object) -> None:
        try:
            with self._file.open("r+b") as stream:  # unlike "ab", does not make the file again
                stream.seek(0, os.SEEK_END)
                stream.write(json.dumps([event, *details]).encode() + b"\n")
            beat = self._alive.read_bytes() if self._alive is not None else b""
        except FileNotFoundError:
            raise RunEnded from None
        now = time.monotonic()  # this machine's clock alone: those of two machines differ
        if beat != self._beat or self._alive is None:
            self._beat, self._since = beat, now
        elif now - self._since > self._patience:
            raise RunEnded


class StatusReader:
    """The other end: passes on what a worker reports.

    Args:
        file: The file, which is made.
        config: The settings of the run.
        progress: Receives the progress.
        known: Whether it knows of this run, which is then submitted again.
    """

    def __init__(self, file: Path, config: RunConfig, progress: ProgressListener, *, known: bool) -> None:
        self._file, self._config, self._progress, self._known, self._read = file, config, progress, known, 0
        self.begun, self.epochs = False, 0
        file.touch()

    def report(self) -> None:
        """Pass on what the worker has written since the last call, in whole lines."""
        with self._file.open("rb") as stream:
            stream.seek(self._read)
            lines, end, _ = stream.read().rpartition(b"\n")
        for line in lines.splitlines():
            event, *details = json.loads(line)
            if event == BEGUN:
                if not self._known:
                    self._progress.run_begins(self._config)
                self.begun = True
            elif event == STEPPED:
                steps, mean_loss = details
                for _ in range(steps):
                    self._progress.stepped(mean_loss)
            elif event == EPOCH_BEGINS:
                self._progress.epoch_begins(*details)
            else:
                self._progress.epoch_ended(Epoch(*details))
                self.epochs += 1
        self._read += len(lines) + len(end)

    def close(self) -> None:
        """End the run, if it is still going on."""
        self._file.unlink(missing_ok=True)


@contextlib.contextmanager
def beating(file: Path) -> Iterator[None]:
    """Change a file every few seconds while the block runs, also where the program is busy elsewhere."""
    end = threading.Event()
    file.write_bytes(b"%16d" % 0)

    def beat() -> None:
        number = 0
        while not end.wait(BEAT):
            number += 1
            with contextlib.suppress(OSError), file.open("r+b") as stream:
                stream.write(b"%16d" % number)  # in place: needs no room on a full disk

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
