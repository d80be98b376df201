"""Several training runs at a time, each in a worker of a PEP 3148 executor."""

import contextlib
import dataclasses
import functools
import json
import os
import pickle
import shutil
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import AbstractContextManager
from pathlib import Path

import loky
from loky.backend import resource_tracker

from onchip._files import write_whole
from onchip.errors import RequestError
from onchip.runs.config import RunConfig
from onchip.runs.record import Epoch, Record
from onchip.training import worker
from onchip.training.progress import ProgressListener

Work = Callable[[RunConfig, ProgressListener], Record]

INTERVAL = 0.1
"""Seconds between two reports of progress: a bar needs no more."""


def run_in_workers(
    work: Work,
    configs: Iterable[RunConfig],
    jobs: int,
    progress: Callable[[], ProgressListener],
    *,
    executor: Callable[[], AbstractContextManager[Executor]] | None = None,
) -> Generator[tuple[RunConfig, Record], None, None]:
    """Yield runs as they finish, several at a time.

    Work and progress pass through files in a temporary folder, which workers on other machines must be able to read
    and write. When this generator is interrupted or closed, local workers are ended, and the folder is removed, at
    which others end at their next training step; the files that their runs have written stay. When this process is
    killed, its local workers end, too, and loky's resource tracker removes the folder.

    Args:
        work: Trains one run and reports its progress. It is pickled once, and loaded once per worker.
        configs: The runs.
        jobs: The number of runs at a time.
        progress: Makes the progress callbacks of a run. It is called in this process.
        executor: Makes an executor for one run at a time; called `jobs` times, and again for each one that broke.
            None starts local processes.

    Raises:
        ChildProcessError: A worker died. It is raised when all other runs are finished.
        Exception: Whatever `work` raises, at once.
    """
    waiting, lost = deque(configs), list[str]()
    running: dict[Future[Record], _Run] = {}
    new_executor = executor or _local_executor
    # On the way out, the folder is removed first: this tells the workers to end, for which their executors then wait.
    with contextlib.ExitStack() as executors, _temporary_folder() as folder:
        write_whole(folder / "work", _pickled(work))

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


def _pickled(work: Work) -> bytes:
    try:
        return pickle.dumps(work)
    except (pickle.PicklingError, AttributeError, TypeError) as error:  # of a lambda, or a class within a function
        raise RequestError(
            f"a network or data cannot be sent to other processes ({error!s:.200}); define it at the top level of a "
            "module, or run one job at a time"
        ) from error


def _submit(executor: Executor, *call: object) -> Future[Record]:
    with _signals_blocked():  # a local worker starts here
        return executor.submit(*call)  # type: ignore[arg-type]


@contextlib.contextmanager
def _local_executor() -> Iterator[Executor]:
    """One process: when it dies, no other run is lost. It writes files whole, and so may be killed at any time."""
    # A thread that starts a process and ends would, for Linux, be a parent that has died.
    by_signal = threading.current_thread() is threading.main_thread()
    with _signals_blocked():
        local = loky.ProcessPoolExecutor(1, initializer=worker.begin, initargs=(os.getpid(), by_signal))
    try:
        yield local
    finally:
        local.shutdown(kill_workers=True)


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A folder that is removed at the end of the block, or by loky's resource tracker when this process is killed."""
    name = tempfile.mkdtemp(prefix="onchip-")
    with contextlib.ExitStack() as stack, _signals_blocked():  # the tracker starts here
        resource_tracker.register(name, "folder")
        stack.callback(resource_tracker.unregister, name, "folder")
        stack.callback(shutil.rmtree, name, ignore_errors=True)
        stack = stack.pop_all()
    with stack:
        yield Path(name)


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Block the signals that end a command: processes that start meanwhile inherit this, and their owner ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _reason(error: BrokenExecutor) -> str:
    """The line of a long message that has the exit code, if there is one."""
    lines = str(error).splitlines() or [type(error).__name__]
    return next((line for line in lines if "exit code" in line), lines[0])
