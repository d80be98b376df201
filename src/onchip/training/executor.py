"""Several training runs at a time, each in a worker of a PEP 3148 executor."""

import contextlib
import dataclasses
import functools
import json
import os
import pickle
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from pathlib import Path

import loky
import torch

from onchip.runs.config import RunConfig
from onchip.runs.record import Epoch, Record
from onchip.training.progress import ProgressListener

Work = Callable[[RunConfig, ProgressListener], Record]

INTERVAL = 0.1
"""Seconds between two reports of progress: a bar needs no more."""
PATIENCE = 5.0
"""Seconds in which a local worker may end by itself, at its next training step, before it is ended."""


def run_in_workers(
    work: Work,
    configs: Iterable[RunConfig],
    jobs: int,
    progress: Callable[[], ProgressListener],
    *,
    executor: Callable[[], Executor] | None = None,
) -> Generator[tuple[RunConfig, Record], None, None]:
    """Yield runs as they finish, several at a time.

    Work and progress pass through files in a temporary folder, which workers on other machines must be able to read
    and write. When this generator is interrupted or closed, the folder is removed, and each worker ends at its next
    training step; the files that its run has written stay.

    Args:
        work: Trains one run and reports its progress. It is pickled once, and loaded once per worker.
        configs: The runs.
        jobs: The number of runs at a time.
        progress: Makes the progress callbacks of a run. It is called in this process.
        executor: Makes an executor for one run at a time; called `jobs` times, and again for each one that broke.
            None starts local processes, each with its share of the threads that torch uses here.

    Raises:
        ChildProcessError: A worker died. It is raised when all other runs are finished.
        Exception: Whatever `work` raises, at once.
    """
    waiting, lost = deque(configs), list[str]()
    running: dict[Future[Record], _Run] = {}
    # On the way out, the folder is removed first: this tells the workers to end, for which their executors then wait.
    with contextlib.ExitStack() as executors, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "work").write_bytes(pickle.dumps(work))
        threads = max(1, torch.get_num_threads() // jobs)
        new_executor = executor or functools.partial(_local_executor, folder, threads)

        def begin(own: Executor) -> None:
            run = _Run(waiting.popleft(), own, folder / f"progress-{len(waiting)}", progress())
            running[_submit(own, _train, folder / "work", run.config, run.file)] = run

        for _ in range(min(jobs, len(waiting))):
            begin(executors.enter_context(new_executor()))
        while running:
            done, _ = wait(running, timeout=INTERVAL, return_when=FIRST_COMPLETED)
            for run in running.values():
                run.report()
            for future in done:
                run = running.pop(future)
                record, own = None, run.executor
                try:
                    record = future.result()
                except BrokenExecutor as error:
                    lost.append(f"{run.config.rule}, seed {run.config.seed} ({_reason(error)})")
                    own = executors.enter_context(new_executor()) if waiting else own
                if waiting:
                    begin(own)
                if record is not None:
                    yield run.config, record
    if lost:
        raise ChildProcessError(
            f"the processes of these runs were killed, most likely because memory ran out: {'; '.join(lost)}. "
            "Go on with --resume and fewer --jobs"
        )


class _Run:
    """A run in a worker, and the reader of its progress."""

    def __init__(self, config: RunConfig, executor: Executor, file: Path, progress: ProgressListener) -> None:
        self.config, self.executor, self.file = config, executor, file
        self._progress, self._read = progress, 0
        file.touch()
        progress.run_begins(config)

    def report(self) -> None:
        """Pass on what the worker has written since the last call, in whole lines."""
        with self.file.open("rb") as stream:
            stream.seek(self._read)
            lines = stream.read().rpartition(b"\n")[0]
        for line in lines.splitlines(keepends=True):
            event, *details = json.loads(line)
            if event == "stepped":
                for _ in range(details[0]):
                    self._progress.stepped()
            elif event == "epoch_begins":
                self._progress.epoch_begins(*details)
            else:
                self._progress.epoch_ended(Epoch(*details))
        self._read += len(lines) + bool(lines)


class _ProgressFile(ProgressListener):
    """Progress callbacks that write lines for `_Run` to read; the run ends when the file is removed."""

    def __init__(self, file: Path) -> None:
        self._file, self._steps, self._written = file, 0, 0.0

    def epoch_begins(self, epoch: int, steps: int) -> None:
        self._write("epoch_begins", epoch, steps)

    def stepped(self) -> None:
        self._steps += 1
        if time.monotonic() - self._written >= INTERVAL:
            self._write_steps()

    def epoch_ended(self, epoch: Epoch) -> None:
        self._write_steps()
        self._write("epoch_ended", *dataclasses.astuple(epoch))

    def _write_steps(self) -> None:
        self._write("stepped", self._steps)
        self._steps, self._written = 0, time.monotonic()

    def _write(self, event: str, *details: object) -> None:
        try:
            with self._file.open("r+b") as stream:  # unlike "ab", does not make the file again
                stream.seek(0, os.SEEK_END)
                stream.write(json.dumps([event, *details]).encode() + b"\n")
        except FileNotFoundError:
            raise KeyboardInterrupt from None


def _train(work: Path, config: RunConfig, progress: Path) -> Record:
    """Train a run, in a worker."""
    return _load(work)(config, _ProgressFile(progress))


@functools.lru_cache(maxsize=1)  # holds the data set, which all runs share
def _load(work: Path) -> Work:
    loaded: Work = pickle.loads(work.read_bytes())
    return loaded


def _submit(executor: Executor, *call: object) -> Future[Record]:
    """Submit a call while Ctrl-C is blocked: a local worker that starts inherits this, and its owner ends it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return executor.submit(*call)  # type: ignore[arg-type]
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _local_executor(folder: Path, threads: int) -> Executor:
    """One process: when it dies, no other run is lost."""
    local: Executor = loky.ProcessPoolExecutor(1, initializer=_start_worker, initargs=(folder, threads))
    return local


def _start_worker(folder: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with, args=(folder, os.getppid()), daemon=True).start()


def _end_with(folder: Path, parent: int) -> None:
    """End this process a while after the folder was removed, or at once when the process that started it is gone."""
    while os.getppid() == parent and folder.exists():
        time.sleep(INTERVAL)
    if os.getppid() == parent:
        time.sleep(PATIENCE)
    os._exit(1)


def _reason(error: BrokenExecutor) -> str:
    """The line of a long message that has the exit code, if there is one."""
    lines = str(error).splitlines() or [type(error).__name__]
    return next((line for line in lines if "exit code" in line), lines[0])
