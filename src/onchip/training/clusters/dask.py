"""A cluster of Dask."""

from __future__ import annotations

import contextlib
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from onchip._types import checked
from onchip.errors import RequestError, require
from onchip.training.clusters.base import Workers

__all__ = ["Dask"]

SCHEMES = "tcp", "tls", "ucx", "ws", "wss"
CONNECT = 5.0
"""Seconds in which a scheduler answers, if it is there."""
LOOK = 1.0
"""Seconds between two looks at which workers there are."""


@checked
class Dask(Workers):
    """The workers of a Dask scheduler, which train one run at a time each, also those that join later.

    Each run is given to one worker and to no other, because Dask would start a run again elsewhere by itself, while
    the first worker may still be running. A run whose worker leaves is submitted again.

    Args:
        address: The scheduler's address, such as tcp://host:8786.
        wait: Seconds to wait for a worker while there is none.
        jobs: The number of runs at a time; None for one per worker.
    """

    def __init__(self, address: str, *, wait: float = 60.0, jobs: int | None = None) -> None:
        _require_address(address)
        require(wait > 0, "cluster dask", "wait", wait, "more than 0 seconds")
        super().__init__(jobs)
        self._address, self._wait = address, wait
        self._present: dict[str, int] = {}
        self._busy: dict[Future[Any], str] = {}
        self._looked = self._seen = 0.0
        self._warned = False
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> Dask:
        try:
            from distributed import Client, KilledWorker
        except ImportError as error:
            raise RequestError(
                f"a cluster of Dask needs the package distributed, and it cannot be imported ({error}); "
                "pip install 'onchip[dask]'"
            ) from error
        self.lost = (CancelledError, KilledWorker)
        with contextlib.ExitStack() as stack:
            stack.enter_context(_quiet())
            try:
                self._client = Client(self._address, timeout=CONNECT, set_as_default=False, name="onchip")
            except OSError as error:
                raise RequestError(
                    f"no Dask scheduler answers at {self._address} ({error}); start `dask scheduler`, or correct the "
                    "address"
                ) from error
            stack.callback(self._client.close)
            self._seen = time.monotonic()
            try:
                self._look()
                while not self._present:
                    self._require_worker()
                    time.sleep(LOOK)
                    self._look()
            except OSError as error:
                raise RequestError(str(error)) from error
            for worker, reason in self._client.run(_loads_onchip()).items():
                if reason is not None:
                    raise RequestError(
                        f"the worker {worker} cannot load onchip ({reason}); install the same version of onchip there"
                    )
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        for future in self._busy:
            future.cancel()
        self._exit.close()

    @property
    def threads(self) -> int:
        """The least that a worker has by its `--nthreads`."""
        return max(1, min(self._present.values()))

    def room(self, running: int) -> bool:
        self._look_if_due()
        if not self._present:
            self._require_worker()
        return bool(self._free()) and (self.jobs is None or running < self.jobs)

    def submit(self, folder: Path, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        worker = self._free()[0]
        executor = self._client.get_executor(workers=[worker], allow_other_workers=False, pure=False, retries=0)
        future: Future[Any] = executor.submit(call, *arguments)
        self._busy[future] = worker
        return future

    def gone(self, future: Future[Any]) -> str | None:
        self._look_if_due()
        worker = self._busy.get(future)
        if worker is None or worker in self._present or future.done():
            return None
        del self._busy[future]
        return f"the worker {worker} has left the cluster"

    def unfit(self, error: BaseException) -> str | None:
        if isinstance(error, RuntimeError) and "deserialization" in str(error):  # before a worker has it
            return f"the Dask scheduler at {self._address} cannot load onchip, which it needs, too"
        return super().unfit(error)

    def reason(self, error: BaseException) -> str:
        return "the scheduler has canceled it"

    def _free(self) -> list[str]:
        self._busy = {future: worker for future, worker in self._busy.items() if not future.done()}
        busy = set(self._busy.values())
        return [worker for worker in self._present if worker not in busy]

    def _look_if_due(self) -> None:
        if time.monotonic() - self._looked >= LOOK:
            self._look()

    def _look(self) -> None:
        try:
            self._present = dict(self._client.nthreads())
        except (OSError, TimeoutError) as error:
            raise ChildProcessError(
                f"the Dask scheduler at {self._address} is gone ({error}). Start it again, and go on with --resume"
            ) from error
        self._looked = time.monotonic()
        if self._present:
            self._seen, self._warned = self._looked, False

    def _require_worker(self) -> None:
        """Warn once when there is no worker.

        Raises:
            ChildProcessError: There has been none for too long.
        """
        if not self._warned:
            warnings.warn(
                f"the cluster at {self._address} has no worker; waiting {self._wait:g} s for one", stacklevel=2
            )
            self._warned = True
        if time.monotonic() - self._seen > self._wait:
            raise ChildProcessError(
                f"the cluster at {self._address} has had no worker for {self._wait:g} s; start some, such as "
                f"`dask worker {self._address} --nthreads 1`"
            )


def _loads_onchip() -> Callable[[], str | None]:
    """A function that says why a process cannot load `onchip`; Dask sends one that is made here as its code."""

    def reason() -> str | None:
        try:
            import onchip  # noqa: F401
        except ImportError as error:
            return str(error)
        return None

    return reason


def _require_address(address: str) -> None:
    """Raises RequestError unless an address is one."""
    try:
        parts = urlsplit(address)
        good = parts.scheme in SCHEMES and bool(parts.hostname and parts.port) and parts.path in ("", "/")
    except ValueError:  # a port that is no number, or out of range
        good = False
    require(good, "cluster dask", "address", address, "an address such as tcp://host:8786")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Leave what Dask has to say to errors and warnings of our own."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
