"""Functions in processes of their own: results, errors, and an end with the parent."""

from __future__ import annotations

import multiprocessing
import os
import time
from functools import partial
from pathlib import Path

import pytest

from onchip.audit.isolation import ISOLATES, isolated
from onchip.errors import OnchipError, RequestError
from tests.patience import PATIENCE

pytestmark = pytest.mark.skipif(not ISOLATES, reason="functions run in this process on this system")
KEPT: list[int] = []


def add(number: int) -> list[int]:
    KEPT.append(number)
    return KEPT


def fail() -> int:
    raise RequestError("no such thing")


def die() -> int:
    os._exit(3)


def wait(path: Path) -> None:
    path.write_text(str(os.getpid()))
    time.sleep(600)


def test_results_come_in_order_and_nothing_is_left_behind() -> None:
    assert isolated([partial(add, number) for number in range(5)]) == [[0], [1], [2], [3], [4]]
    assert KEPT == []
    assert isolated([partial(isolated, [partial(add, 7)])]) == [[[7]]]


def test_errors_and_deaths_are_told() -> None:
    with pytest.raises(RequestError, match="no such thing"):
        isolated([fail])
    with pytest.raises(OnchipError, match="exit code 3"):
        isolated([die])


def test_forks_of_forks_end_with_their_parent(tmp_path: Path) -> None:
    path = tmp_path / "process"
    parent = multiprocessing.get_context("fork").Process(
        target=isolated, args=([partial(isolated, [partial(wait, path)])],)
    )
    parent.start()
    while not (path.exists() and path.read_text()):
        time.sleep(0.01)
    parent.kill()
    parent.join()
    end = time.monotonic() + PATIENCE
    while Path(f"/proc/{path.read_text()}/cmdline").exists() and time.monotonic() < end:
        if "\nState:\tZ" in Path(f"/proc/{path.read_text()}/status").read_text():
            break
        time.sleep(0.01)
    assert time.monotonic() < end
