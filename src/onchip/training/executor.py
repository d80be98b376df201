"""Several training runs at a time, each in a worker: on this machine, or on a cluster."""

import contextlib
import hashlib
import secrets
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from pathlib import Path

from loky.backend import resource_tracker

from onchip._files import write_whole
from onchip.errors import RequestError
from onchip.runs.config import RunConfig
from onchip.runs.record import Record
from onchip.training.clusters.base import Workers
from onchip.training.clusters.local import signals_blocked
from onchip.training.progress import ProgressListener
from onchip.training.status import StatusReader, beating
from onchip.training.task import ALIVE, WORK, Work, packed, train_run, versions

TRIES = 3
"""Workers that a run may lose between two epochs that it finishes."""
INTERVAL, FAR_INTERVAL = 0.1, 1.0
"""Seconds between two reports of progress, here and through a folder of other machines: a bar needs no more."""
PATIENCE = 60.0
"""Seconds without a sign of life of this process after which workers elsewhere end: twelve signs, so that a network
file system may be slow."""


def run_in_workers(
    work: Work,
    configs: Iterable[RunConfig],
    workers: Workers,
    progress: Callable[[], ProgressListener],
    *,
    shared: Path | None = None,
) -> Generator[tuple[RunConfig, Record], None, None]:
    """Yield runs as they finish, several at a time.

    Work and progress pass through files in a folder of this process. A run has a status file for each time that it is
    submitted, and whoever trains it ends when that file is gone, or when this process is. So there is one writer of a
    run's checkpoint, but for a superseded one until its next step; what that one may still write is equal, bit for bit,
    to what the other writes, because both go on from the same checkpoint.

    A run whose worker died goes on in another one after the last epoch that it finished. On this machine, where memory
    may be what it died of, its last try is alone.

    When this generator is interrupted or closed, local workers are ended, and the folder is removed, at which others
    end at their next training step; the files that their runs have written stay.

    Args:
        work: Trains one run and reports its progress. It is pickled once, and loaded once per worker.
        configs: The runs.
        workers: Where they train; connected.
        progress: Makes the progress callbacks of a run. It is called in this process.
        shared: A folder that workers elsewhere share; None for workers on this machine.

    Raises:
        ChildProcessError: A run lost `TRIES` workers; it is raised when all other runs are finished. Or the workers
            are gone as a whole.
        RequestError: A worker does not fit: it has other versions, or does not share the folder.
        Exception: Whatever `work` raises, at once.
    """
    configs = list(configs)
    interval = FAR_INTERVAL if workers.elsewhere else INTERVAL
    waiting = [_Run(index, config, progress()) for index, config in enumerate(configs)]
    running: dict[Future[Record | None], _Run] = {}
    given_up: list[str] = []
    # On the way out, the folder is removed first: this tells workers to end.
    with _folder(shared) as folder, contextlib.ExitStack() as stack:
        content = packed(work, configs)
        write_whole(folder / WORK, content)
        expected: dict[str, str] = {}
        if workers.elsewhere:
            stack.enter_context(beating(folder / ALIVE))
            expected = versions()
        job = (str(folder), hashlib.sha256(content).hexdigest(), expected)
        how = (interval, PATIENCE if workers.elsewhere else None)
        del content
        while waiting or running:
            while (run := _next(waiting, running.values(), workers)) is not None:
                waiting.remove(run)
                status = run.begin(folder)
                running[workers.submit(folder, train_run, *job, run.index, status, *how)] = run
            done = wait(running, timeout=interval, return_when=FIRST_COMPLETED).done if running else set()
            if not running:
                time.sleep(interval)
            for run in running.values():
                run.status.report()
            for future in [*done, *(running.keys() - done)]:
                record, reason = _outcome(future, workers)
                if record is None and reason is None:
                    continue
                run = running.pop(future)
                run.end()
                if record is not None:
                    yield run.config, record
                elif run.lost < TRIES:
                    warnings.warn(f"{run.name} lost its worker ({reason}) and is submitted again", stacklevel=2)
                    waiting.append(run)
                else:
                    given_up.append(f"{run.name} ({reason})")
    if given_up:
        remedy = "" if workers.elsewhere else " and fewer --jobs"
        raise ChildProcessError(
            f"the processes of these runs died {TRIES} times without finishing an epoch, most likely because memory "
            f"ran out: {'; '.join(given_up)}. Go on with --resume{remedy}"
        )


class _Run:
    """A run, and how often it lost its worker since it last finished an epoch."""

    status: StatusReader

    def __init__(self, index: int, config: RunConfig, progress: ProgressListener) -> None:
        self.index, self.config, self.lost = index, config, 0
        self.name = f"{config.rule}, seed {config.seed}"
        self._progress, self._submitted, self._known = progress, 0, False

    def begin(self, folder: Path) -> str:
        """Make the status file of a new submission, and return its name."""
        self._submitted += 1
        name = f"run-{self.index}-{self._submitted}"
        self.status = StatusReader(folder / name, self.config, self._progress, known=self._known)
        return name

    def end(self) -> None:
        """End the submission, which is finished or lost."""
        self.status.report()
        self.status.close()
        self._known |= self.status.begun
        self.lost = 1 if self.status.epochs else self.lost + 1


def _next(waiting: list[_Run], running: Iterable[_Run], workers: Workers) -> _Run | None:
    """The run to submit now: one that lost the fewest workers; here, the last try of a run is alone."""
    running = list(running)
    run = min(waiting, key=lambda run: run.lost, default=None)
    if run is None:
        return None
    if not workers.elsewhere and running and max(each.lost for each in (run, *running)) == TRIES - 1:
        return None
    return run if workers.room(len(running)) else None


def _outcome(future: Future[Record | None], workers: Workers) -> tuple[Record | None, str | None]:
    """The record of a run, or the reason why its worker is gone; neither while it goes on."""
    if not future.done():
        reason = workers.gone(future)
        if reason is not None:
            future.cancel()
        return None, reason
    try:
        record = future.result()
    except workers.lost as error:
        return None, workers.reason(error)
    except (BrokenExecutor, CancelledError) as error:
        reason = workers.reason(error)
        raise ChildProcessError(f"the executor is broken ({reason}). Go on with --resume and a new one") from error
    except Exception as error:
        if (reason := workers.unfit(error)) is None:
            raise
        raise RequestError(f"{reason}; install the same version of onchip there") from error
    return record, "it ended by itself" if record is None else None


@contextlib.contextmanager
def _folder(shared: Path | None) -> Iterator[Path]:
    """A folder that only this user may open, and that is removed at the end of the block."""
    with _temporary_folder() if shared is None else _shared_folder(shared) as folder:
        yield folder


@contextlib.contextmanager
def _shared_folder(parent: Path) -> Iterator[Path]:
    """One in a folder of other machines; after `kill -9` it is left to who locks the run directory next."""
    parent.mkdir(mode=0o700, exist_ok=True)
    folder = parent / secrets.token_hex(8)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        for _ in range(10):  # a worker may be making a file there, which it makes once
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            time.sleep(0.02)
        with contextlib.suppress(OSError):
            parent.rmdir()


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    """One on this machine, which loky's resource tracker removes when this process is killed."""
    name = tempfile.mkdtemp(prefix="onchip-")
    with contextlib.ExitStack() as stack, signals_blocked():  # the tracker starts here
        resource_tracker.register(name, "folder")
        stack.callback(resource_tracker.unregister, name, "folder")
        stack.callback(shutil.rmtree, name, ignore_errors=True)
        stack = stack.pop_all()
    with stack:
        yield Path(name)
