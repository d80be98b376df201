"""What a worker does: train one run, if its packages, folder and process allow it."""

import functools
import hashlib
import pickle
import platform
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

import onchip
from onchip.errors import RequestError
from onchip.runs.config import RunConfig
from onchip.runs.provenance import digest_of_files
from onchip.runs.record import Record
from onchip.training.progress import ProgressListener
from onchip.training.status import RunEnded, StatusFile

Work = Callable[[RunConfig, ProgressListener], Record]

WORK, ALIVE = "work", "alive"

_BUSY = threading.Lock()
"""Held by the run that trains in this process: torch's random numbers and threads belong to the whole process."""


def packed(work: Work, configs: list[RunConfig]) -> bytes:
    """The content of the file that all workers read.

    Raises:
        RequestError: A part of it cannot be sent.
    """
    try:
        return pickle.dumps((work, configs))
    except (pickle.PicklingError, AttributeError, TypeError) as error:  # of a lambda, or a class within a function
        raise RequestError(
            f"a network or data cannot be sent to other processes ({error!s:.200}); define it at the top level of a "
            "module, or run one job at a time"
        ) from error


@functools.cache
def versions() -> dict[str, str]:
    """What must agree between processes whose results are compared bit for bit."""
    return {
        "onchip": f"{onchip.__version__}, files {digest_of_files():.12}",
        "torch": str(torch.__version__).partition("+")[0],  # of one release, for any processor
        "python": ".".join(platform.python_version_tuple()[:2]),
    }


def train_run(
    folder: str,
    digest: str,
    expected: Mapping[str, str],
    index: int,
    status: str,
    interval: float,
    patience: float | None,
) -> Record | None:
    """Train a run. All arguments are plain, so that a worker of any version can say how it differs.

    Args:
        folder: The folder of the sweep's workers.
        digest: SHA-256 of its file `WORK`; no other file is unpickled.
        expected: `versions` of the process that submits.
        index: The number of the run.
        status: Name of the run's status file.
        interval: Seconds between two reports of progress.
        patience: Seconds without a sign of life of that process after which the run ends; None for ever.

    Returns:
        The record; None if the run was ended, or is another worker's.

    Raises:
        RequestError: The worker has other versions, does not share the folder, or has not the code of the network.
    """
    _refuse_versions(expected, versions())
    work, configs = _load(Path(folder), digest)
    alive = None if patience is None else Path(folder, ALIVE)
    reports = StatusFile(Path(folder, status), alive, interval, patience or 0.0)
    try:
        reports.claim()
        reports.wait_for(_BUSY)
        try:
            return work(configs[index], reports)
        finally:
            _BUSY.release()
    except RunEnded:
        return None


def _refuse_versions(expected: Mapping[str, str], here: Mapping[str, str]) -> None:
    different = [f"{name} is {here.get(name)}, here {value}" for name, value in expected.items()
                 if here.get(name) != value]  # fmt: skip
    if different:
        raise RequestError(
            f"the worker on {socket.gethostname()} has other versions: {'; '.join(different)}. Install the same there, "
            "or start workers from the same environment"
        )


@functools.lru_cache(maxsize=1)  # holds the data set, which all runs share
def _load(folder: Path, digest: str) -> tuple[Work, list[RunConfig]]:
    try:
        content = (folder / WORK).read_bytes()
    except OSError as error:
        raise RequestError(
            f"the worker on {socket.gethostname()} cannot read {folder} ({error.strerror}); choose an --out that "
            "all workers share, under the same path"
        ) from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise RequestError(
            f"the worker on {socket.gethostname()} finds another file than was written in {folder}; choose an --out "
            "that all workers share"
        )
    try:
        loaded: tuple[Work, list[RunConfig]] = pickle.loads(content)
    except (ImportError, AttributeError) as error:
        raise RequestError(
            f"the worker on {socket.gethostname()} cannot load the network or data ({error!s:.200}); put the module "
            "where its Python finds it"
        ) from error
    return loaded
