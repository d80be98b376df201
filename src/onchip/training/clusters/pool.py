"""An executor that a program has made."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from onchip.errors import RequestError
from onchip.training.clusters.base import Workers

__all__ = ["Pool"]


class Pool(Workers):
    """Any PEP 3148 executor; it stays open.

    Args:
        executor: The executor.
        jobs: The number of runs at a time; None leaves it to the executor.
    """

    def __init__(self, executor: Executor, jobs: int | None = None) -> None:
        if not callable(getattr(executor, "submit", None)):
            raise RequestError(
                f"executor got {executor!r:.80}; expected a concurrent.futures.Executor, such as ProcessPoolExecutor(4)"
            )
        super().__init__(jobs)
        self._executor = executor

    @property
    def threads(self) -> int:
        return 1  # how many of its workers share a processor, it does not say

    def room(self, running: int) -> bool:
        return self.jobs is None or running < self.jobs

    def submit(self, folder: Path, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        return self._executor.submit(call, *arguments)
