"""Runs in workers: those of a pool of threads, which cost nothing, and one process that is killed."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from onchip.errors import RequestError
from onchip.runs.config import RunConfig
from onchip.runs.record import Epoch, Record
from onchip.training import executor as module
from onchip.training import status, task
from onchip.training.clusters import Local, Pool
from onchip.training.executor import run_in_workers
from onchip.training.progress import ProgressListener
from onchip.training.status import RunEnded, StatusFile, StatusReader, beating
from tests.examples import record
from tests.patience import PATIENCE

SPECS = [RunConfig(seed=seed, epochs=1) for seed in range(5)]
ENDED: list[int] = []


def work(config: RunConfig, watch: ProgressListener) -> Record:
    """As a run: seed 1 is killed by the system, seed 3 fails as no run should, seed 4 does not end by itself."""
    watch.epoch_begins(1, 50)
    for _ in range(50):
        watch.stepped(1.0)
    if config.seed == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if config.seed == 3:
        raise LookupError("lost")
    try:
        while config.seed == 4:
            watch.stepped(1.0)
            time.sleep(0.01)
    except RunEnded:
        ENDED.append(config.seed)
        raise
    watch.epoch_ended(Epoch(1, 1.0, None, 1.0))
    return record(seed=config.seed, threads=os.getpid())


class Seen(ProgressListener):
    """Keeps what it is told."""

    all: list[Seen]

    def __init__(self) -> None:
        self.steps, self.told = 0, list[object]()
        Seen.all.append(self)

    def run_begins(self, config: RunConfig) -> None:
        self.told.append(config.seed)

    def epoch_begins(self, epoch: int, steps: int) -> None:
        self.told.append((epoch, steps))

    def stepped(self, loss: float) -> None:
        self.steps += 1

    def epoch_ended(self, epoch: Epoch) -> None:
        self.told.append((epoch, self.steps))


@pytest.fixture(autouse=True)
def seen() -> list[Seen]:
    Seen.all = []
    ENDED.clear()
    return Seen.all


def to_the_end(
    coming: Iterator[tuple[RunConfig, Record]], after_first: Callable[[], None] = lambda: None
) -> tuple[list[tuple[RunConfig, Record]], str]:
    """The runs that finish, and the error on processes that died."""
    done = []
    try:
        for each in coming:
            done.append(each)
            after_first()
    except ChildProcessError as error:
        return done, str(error)
    return done, ""


class Lossy(Pool):
    """Threads, of which the first few that get a run are said to be gone while they go on."""

    def __init__(self, threads: ThreadPoolExecutor, losses: int) -> None:
        super().__init__(threads)
        self.losses, self.folders = losses, set[Path]()

    def submit(self, folder: Path, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        self.folders.add(folder)
        return super().submit(folder, call, *arguments)

    def gone(self, future: Future[Any]) -> str | None:
        if self.losses == 0 or not future.running():
            return None
        self.losses -= 1
        return "its host has left"


def test_processes_report_all_steps_and_a_killed_one_is_tried_three_times_without_harm(seen: list[Seen]) -> None:
    with Local(1) as workers, pytest.warns(UserWarning, match=r"bp, seed 1 lost its worker .*SIGKILL.* again") as said:
        done, error = to_the_end(run_in_workers(work, [SPECS[1], SPECS[0], SPECS[2]], workers, Seen))
    assert re.search(r"died 3 times .*: bp, seed 1 \(.*SIGKILL.*fewer --jobs", error)
    assert len(said) == 2
    assert sorted(config.seed for config, _ in done) == [0, 2]
    assert all(config.seed == made.seed for config, made in done)
    assert os.getpid() not in {made.threads for _, made in done}
    killed, *others = seen
    assert killed.told.count(1) == 1, "one bar for a run, however often it is submitted"
    for one, seed in zip(others, (0, 2), strict=True):
        assert one.told == [seed, (1, 50), (Epoch(1, 1.0, None, 1.0), 50)]


def test_an_error_comes_through_and_ends_the_rest(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        coming = run_in_workers(work, [SPECS[3], SPECS[0]], Pool(threads, 1), ProgressListener, shared=tmp_path / "a")
        with pytest.raises(LookupError, match="lost"):
            list(coming)
    assert not list(tmp_path.iterdir())


def test_who_stops_asking_ends_runs_elsewhere(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        coming = run_in_workers(work, [SPECS[0], SPECS[4]], Pool(threads), ProgressListener, shared=tmp_path / "a")
        assert next(coming)[0].seed == 0
        assert (tmp_path / "a").stat().st_mode & 0o77 == 0, "for this user alone"
        coming.close()
    assert ENDED in ([4], []), "if it had not begun, it does not begin"
    assert not list(tmp_path.iterdir())


def test_a_run_whose_worker_is_gone_is_another_ones_and_the_old_worker_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FAR_INTERVAL", 0.05)
    monkeypatch.setattr(task, "_BUSY", threading.Semaphore(2))  # as two processes
    endless = SPECS[4]
    with ThreadPoolExecutor(2) as threads:
        workers = Lossy(threads, 2)
        coming = run_in_workers(work, [endless, SPECS[0]], workers, ProgressListener, shared=tmp_path / "a")
        with pytest.warns(UserWarning, match=r"lost its worker .its host has left. and is submitted again"):
            done, error = to_the_end(coming, after_first=lambda: setattr(workers, "losses", 9))
    assert [config.seed for config, _ in done] == [0]
    assert "bp, seed 4 (its host has left)" in error
    assert set(ENDED) == {4}, "each superseded worker has ended at a step"
    assert not list(tmp_path.iterdir())


def test_two_workers_with_one_submission(tmp_path: Path) -> None:
    reader = StatusReader(tmp_path / "run-0-1", SPECS[0], ProgressListener(), known=False)
    StatusFile(tmp_path / "run-0-1", None, 0.0, 0.0).claim()
    with pytest.raises(RunEnded):
        StatusFile(tmp_path / "run-0-1", None, 0.0, 0.0).claim()
    reader.close()
    with pytest.raises(RunEnded):
        StatusFile(tmp_path / "run-0-2", None, 0.0, 0.0).claim()


def test_a_run_ends_when_nobody_gives_a_sign_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "BEAT", 0.02)
    StatusReader(tmp_path / "run-0-1", SPECS[0], ProgressListener(), known=False)
    run = StatusFile(tmp_path / "run-0-1", tmp_path / "alive", 0.0, 2.0)
    with beating(tmp_path / "alive"):
        run.claim()
        end = time.monotonic() + 4.0
        while time.monotonic() < end:  # twice its patience
            run.stepped(1.0)
            time.sleep(0.02)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            run.stepped(1.0)
        except RunEnded:
            return
        time.sleep(0.02)
    pytest.fail("it goes on")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folder": "/nowhere"}, r"the worker on .* cannot read /nowhere .*; choose an --out that all workers share"),
        ({"digest": "0" * 64}, "finds another file than was written"),
        (
            {"expected": {"torch": "1.0", "python": "2.7"}},
            r"other versions: torch is \d.*, here 1.0; python is 3.*, he",
        ),
    ],
    ids=["folder", "digest", "versions"],
)
def test_a_worker_that_does_not_fit_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    class Changing(Pool):
        def submit(self, folder: Path, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
            names = ("folder", "digest", "expected", "index", "status", "interval", "patience")
            return super().submit(folder, call, *{**dict(zip(names, arguments, strict=True)), **changes}.values())

    with ThreadPoolExecutor(1) as threads, pytest.raises(RequestError, match=message):
        list(run_in_workers(work, SPECS[:1], Changing(threads), ProgressListener, shared=tmp_path / "a"))


class Failing(Pool):
    """Every submission fails with an error."""

    def __init__(self, error: Exception) -> None:
        super().__init__(ThreadPoolExecutor(1))
        self.error = error

    def submit(self, folder: Path, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(self.error)
        return future


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (BrokenExecutor("a process ended"), ChildProcessError, r"executor is broken \(a process ended\).*--resume"),
        (ImportError("no onchip.x", name="onchip.x"), RequestError, "a worker cannot load onchip .*; install the same"),
        (ImportError("no module", name="theirs"), ImportError, "no module"),
        (OSError(28, "No space left on device", "/out/x"), OSError, "No space left on device: '/out/x'"),
    ],
    ids=["broken", "onchip", "other", "disk"],
)
def test_errors_of_an_executor(error: Exception, raised: type[Exception], message: str, tmp_path: Path) -> None:
    coming = run_in_workers(work, SPECS[:1], Failing(error), ProgressListener, shared=tmp_path / "a")
    with pytest.raises(raised, match=message):
        next(coming)
    assert not list(tmp_path.iterdir())
