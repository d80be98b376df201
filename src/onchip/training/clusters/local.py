"""Processes on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from pathlib import Path
from typing import Any

import loky
import torch

from onchip.training import worker
from onchip.training.clusters.base import Workers

__all__ = ["Local", "signals_blocked"]


class Local(Workers):
    """Processes of loky, one for each run at a time: when one dies, no other run is lost.

    They write files whole, and so may be killed at any time, as they are when the context ends, or this process does.
    """

    elsewhere = False
    lost = (BrokenExecutor,)

    def __init__(self, jobs: int) -> None:
        super().__init__(jobs)
        self._jobs = jobs
        self._idle: list[Executor] = []
        self._busy: dict[Future[Any], Executor] = {}

    def __exit__(self, *error: object) -> None:
        for executor in [*self._idle, *self._busy.values()]:
            executor.shutdown(kill_workers=True)  # type: ignore[call-arg]  # loky's own option

    @property
    def threads(self) -> int:
        return max(1, torch.get_num_threads() // self._jobs)

    def room(self, running: int) -> bool:
        return running < self._jobs

    def submit(self, folder: Path, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        for future in [future for future in self._busy if future.done()]:
            executor = self._busy.pop(future)
            if isinstance(future.exception(), BrokenExecutor):
                executor.shutdown(kill_workers=True)  # type: ignore[call-arg]
            else:
                self._idle.append(executor)
        with signals_blocked():  # a process starts here
            executor = self._idle.pop() if self._idle else _one_process()
            future = executor.submit(call, *arguments)
            self._busy[future] = executor
        return future

    def reason(self, error: BaseException) -> str:
        """The line of a long message that has the exit code, if there is one."""
        lines = str(error).splitlines() or [type(error).__name__]
        return next((line for line in lines if "exit code" in line), lines[0])


def _one_process() -> Executor:
    # A thread that starts a process and ends would, for Linux, be a parent that has died.
    by_signal = threading.current_thread() is threading.main_thread()
    return loky.ProcessPoolExecutor(1, initializer=worker.begin, initargs=(os.getpid(), by_signal))


@contextlib.contextmanager
def signals_blocked() -> Iterator[None]:
    """Block the signals that end a command: processes that start meanwhile inherit this, and their owner ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
