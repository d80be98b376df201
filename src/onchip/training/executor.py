"""Several runs at once, each in a process of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import torch

from onchip.runs.config import RunConfig
from onchip.runs.record import Epoch, Record
from onchip.training.progress import ProgressListener

__all__ = ["in_processes"]

Work = Callable[[RunConfig, ProgressListener], Record]

OFTEN = 0.1
"""Seconds between two messages on training steps: a bar needs no more."""
PATIENCE = 5.0
"""Seconds that a process has to end when it is told to."""


def in_processes(
    work: Work, specs: Iterable[RunConfig], jobs: int, watch: Callable[[], ProgressListener]
) -> Generator[tuple[RunConfig, Record], None, None]:
    """Runs as they finish, several at a time.

    Threads are shared out: each process gets its part of those that torch has here. When this is interrupted or
    closed, the processes end; what they have written to files stays.

    Args:
        work: trains one run and tells a watcher how it gets on; it is pickled.
        specs: the runs.
        jobs: processes.
        watch: makes the watcher of a run; it is called here, not in the processes.

    Raises:
        ChildProcessError: a process was killed; when all other runs are done.
        Exception: whatever `work` raises, at once.
    """
    waiting, lost = deque(specs), list[str]()
    workers: list[_Worker] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "work")  # not sent: who sends it waits until a process has loaded torch and takes it
        file.write_bytes(pickle.dumps(work))
        threads = max(1, torch.get_num_threads() // jobs)
        try:
            for _ in range(min(jobs, len(waiting))):
                workers.append(_Worker(file, threads, waiting.popleft(), watch()))
            while workers:
                ready = wait([worker.pipe for worker in workers])
                for worker in [worker for worker in workers if worker.pipe in ready]:
                    spec = worker.spec
                    try:
                        record = worker.listen()
                    except (EOFError, ConnectionResetError):
                        workers.remove(worker)
                        lost.append(f"{spec.rule}, seed {spec.seed} ({worker.end()})")
                        if waiting:
                            workers.append(_Worker(file, threads, waiting.popleft(), watch()))
                        continue
                    if record is None:
                        continue
                    if waiting:
                        worker.begin(waiting.popleft(), watch())
                    else:
                        workers.remove(worker)
                        worker.end()
                    yield spec, record
        finally:
            for worker in workers:
                worker.end()
    if lost:
        raise ChildProcessError(
            f"the processes of these runs were killed, most likely because memory ran out: {'; '.join(lost)}. "
            "Go on with --resume and fewer --jobs"
        )


class _Worker:
    """A process that trains one run after the other, as seen from here."""

    def __init__(self, file: Path, threads: int, spec: RunConfig, watcher: ProgressListener) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would inherit torch's threads without their state
        self.pipe, theirs = context.Pipe()
        self._process: SpawnProcess = context.Process(target=_serve, args=(theirs, file, threads), daemon=True)
        resource_tracker.ensure_running()  # else the process's start begins it, and lets signals through
        # Ctrl-C goes to all processes of a terminal. These must not hear it: their owner ends them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self.begin(spec, watcher)

    def begin(self, spec: RunConfig, watcher: ProgressListener) -> None:
        """Train this run now."""
        self.spec, self._watcher = spec, watcher
        watcher.run_begins(spec)
        with contextlib.suppress(BrokenPipeError):  # it died meanwhile: `listen` says so
            self.pipe.send(spec)

    def listen(self) -> Record | None:
        """Take the next message; the run's record when it is over."""
        what, *details = self.pipe.recv()
        if what == "raised":
            raise details[0]
        if what == "record":
            return Record.from_json(details[0])
        if what == "stepped":
            for _ in range(details[0]):
                self._watcher.stepped()
        elif what == "epoch_begins":
            self._watcher.epoch_begins(*details)
        else:
            self._watcher.epoch_ended(*details)
        return None

    def end(self) -> str:
        """End the process, and say how it ended."""
        self.pipe.close()
        self._process.terminate()
        self._process.join(PATIENCE)
        self._process.kill()
        self._process.join()
        code = self._process.exitcode or 0
        return f"signal {-code}" if code < 0 else f"exit code {code}"


class _Relay(ProgressListener):
    """Watches a run in its process, and tells the one that began it."""

    def __init__(self, pipe: Connection[Any, Any]) -> None:
        self._pipe = pipe
        self._steps, self._told = 0, 0.0

    def epoch_begins(self, epoch: int, steps: int) -> None:
        """Pass it on."""
        self._pipe.send(("epoch_begins", epoch, steps))

    def stepped(self) -> None:
        """Pass on how many steps were done, now and then."""
        self._steps += 1
        if time.monotonic() - self._told >= OFTEN:
            self._pass_on()

    def epoch_ended(self, epoch: Epoch) -> None:
        """Pass it on, after the steps that are still untold."""
        self._pass_on()
        self._pipe.send(("epoch_ended", epoch))

    def _pass_on(self) -> None:
        self._pipe.send(("stepped", self._steps))
        self._steps, self._told = 0, time.monotonic()


def _serve(pipe: Connection[Any, Any], file: Path, threads: int) -> None:
    """The process: trains what it is sent until it is told to end, or nobody listens any more."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # half-written files are removed on the way out
    torch.set_num_threads(threads)
    work: Work = pickle.loads(file.read_bytes())
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            spec = pipe.recv()
            try:
                record = work(spec, _Relay(pipe))
            except (EOFError, BrokenPipeError):
                raise
            except Exception as error:
                pipe.send(("raised", _picklable(error)))
            else:
                pipe.send(("record", record.to_json()))


def _picklable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
