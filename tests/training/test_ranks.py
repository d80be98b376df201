"""Two processes that share each batch beside one that has it whole; ranks_worker.py has the checks."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from onchip import rules
from tests.training import ranks_runs, ranks_worker

pytest.importorskip("torch.distributed")
ROOT = Path(__file__).parents[2]
NAMES = [*(name for name, _ in ranks_worker.checks()), *(check.__name__ for check in ranks_runs.CHECKS)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the checks found: two processes are started once for all."""
    folder = tmp_path_factory.mktemp("ranks")
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    shared |= {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo" if sys.platform == "linux" else "lo0"}
    command = [sys.executable, "-m", "tests.training.ranks_worker", str(folder)]
    processes = [
        subprocess.Popen(command, cwd=ROOT, env={**os.environ, **shared, "RANK": str(rank)}, stderr=subprocess.PIPE)
        for rank in (1, 0)
    ]
    try:
        said = [process.communicate(timeout=900)[1].decode() for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)
    return json.loads((folder / "checks.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_are_as_one(name: str, found: dict[str, Any]) -> None:
    assert found[name] == []


def test_every_rule_is_compared() -> None:
    assert {name for name, _ in ranks_worker.pairs()} == set(rules.__all__)
