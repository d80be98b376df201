"""A plugin of pytest for the queue of gpu.py: stores each outcome at once, leaves out what has one, stops in time.

An error of CUDA may leave the process without a usable device; then the session stops, and the next test gets a process
of its own. The environment says where outcomes are kept (ONCHIP_OUTCOMES) and when to stop (ONCHIP_UNTIL, seconds since
the epoch).
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from _records import append_lines, read_lines

OUTCOMES, UNTIL, LEFT, COMMIT = "ONCHIP_OUTCOMES", "ONCHIP_UNTIL", "ONCHIP_LEFT", "ONCHIP_COMMIT"
LOST = "CUDA error", "illegal memory access", "device-side assert", "unspecified launch failure"
"""Parts of messages after which a process may have no usable device."""


class Outcomes:
    """Stores outcomes of tests.

    Args:
        path: The file of outcomes.
        left: A file for the number of tests that have none yet, written when the session ends by itself.
        until: When to stop.
        commit: Which code is tested. What failed under it is not run again; what passed is not under any.
    """

    def __init__(self, path: Path, left: Path, until: float, commit: str) -> None:
        self.path, self.left, self.until, self.commit = path, left, until, commit
        self.known = {
            entry["test"]
            for entry in read_lines(path)
            if entry["outcome"] == "passed" or (entry["outcome"] != "skipped" and entry["commit"] == commit)
        }
        self.waiting, self.broken = 0, False
        self.reports: list[pytest.TestReport] = []

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        done = [item for item in items if item.nodeid in self.known]
        items[:] = [item for item in items if item.nodeid not in self.known]
        config.hook.pytest_deselected(items=done)
        self.waiting = len(items)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.broken = self.broken or report.failed

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self.session = session

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.reports = []
        self.left.with_suffix(".test").write_text(nodeid, encoding="utf-8")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.reports.append(report)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        outcomes = {report.outcome for report in self.reports}
        outcome = next(kind for kind in ("failed", "skipped", "passed") if kind in outcomes)
        message = "\n".join(str(report.longrepr) for report in self.reports if report.outcome == "failed")[-2000:]
        seconds = round(sum(report.duration for report in self.reports), 3)
        entry = {"test": nodeid, "outcome": outcome, "seconds": seconds, "commit": self.commit, "message": message}
        append_lines(self.path, [entry])
        self.left.with_suffix(".test").unlink(missing_ok=True)
        self.waiting -= 1
        if any(part in message for part in LOST):
            self.session.shouldstop = "an error of CUDA"
        elif time.time() > self.until and self.waiting:
            self.session.shouldstop = "out of time"

    def pytest_sessionfinish(self) -> None:
        if not self.broken:  # else tests are missing
            self.left.write_text(str(self.waiting), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    if OUTCOMES in os.environ:
        paths = Path(os.environ[OUTCOMES]), Path(os.environ[LEFT])
        config.pluginmanager.register(Outcomes(*paths, float(os.environ[UNTIL]), os.environ[COMMIT]))
