"""Where the runs of a sweep train: what every kind of cluster can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

__all__ = ["Workers"]


class Workers(ABC):
    """Processes that train runs, one run at a time each. Used as a context, in which they are connected.

    Raises:
        RequestError: On entering, if the cluster is not there.
    """

    elsewhere = True
    """Whether they may be on other machines: they then share the run directory, and end when this process does."""

    lost: tuple[type[BaseException], ...] = ()
    """Errors of a future that mean that the process of a run is gone; the run is then submitted again."""

    def __init__(self, jobs: int | None) -> None:
        self.jobs = jobs
        """The number of runs at a time; None for as many as there is room for."""

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    @property
    @abstractmethod
    def threads(self) -> int:
        """CPU threads of a run, where the user names none."""

    @abstractmethod
    def room(self, running: int) -> bool:
        """Whether a run can be submitted.

        Args:
            running: The number of runs that were submitted and are not finished.

        Raises:
            OSError: The cluster is gone.
        """

    @abstractmethod
    def submit(self, folder: Path, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Call a function in a worker, once there is room.

        Args:
            folder: A folder of this sweep that the workers share.
            call: The function.
            arguments: Its arguments.
        """

    def gone(self, future: Future[Any]) -> str | None:
        """Why the process of an unfinished future is gone; None if it is not."""
        return None

    def unfit(self, error: BaseException) -> str | None:
        """What an error of a future says of a worker that cannot even load `onchip`; None for other errors."""
        if isinstance(error, ImportError) and str(error.name).partition(".")[0] == "onchip":
            return f"a worker cannot load onchip ({error})"
        return None

    def reason(self, error: BaseException) -> str:
        """One of the errors of `lost` in one line."""
        return (str(error).splitlines() or [type(error).__name__])[-1]
