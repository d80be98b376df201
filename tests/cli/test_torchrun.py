"""`torchrun -m onchip train`: one record, one voice, and the same refusal in all processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Onchip
from tests.patience import PATIENCE

pytest.importorskip("torch.distributed")

TRAIN = ["train", "--rule", "opzo", "--net", "mlp", "--train-size", "41", "--steps", "2", "--validation", "0.02"]


def start(out: Path, *options: str, processes: int = 2) -> subprocess.Popen[str]:
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--rdzv-backend", "c10d"]
    launcher += ["--rdzv-endpoint", "localhost:0", "-m", "onchip", *TRAIN, "--out", str(out), *options]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo" if sys.platform == "linux" else "lo0"}
    return subprocess.Popen(
        [sys.executable, *launcher], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_one_process_writes_and_prints_and_a_lost_one_ends_the_others(tmp_path: Path) -> None:
    run = start(tmp_path / "out", "--epochs", "100000")
    checkpoints = tmp_path / "out" / "checkpoints"
    deadline = time.monotonic() + PATIENCE
    while not (checkpoints.is_dir() and any(checkpoints.glob("opzo*"))):
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    children = subprocess.run(["pgrep", "-P", str(run.pid)], capture_output=True, text=True, check=True).stdout.split()
    os.kill(int(children[-1]), signal.SIGKILL)
    _, said = run.communicate(timeout=PATIENCE)
    assert run.returncode != 0
    lines = [line for line in said.splitlines() if "opzo, seed 0: epoch 1 of" in line]
    assert len(lines) == 1, said
    assert "--resume" in said


@pytest.mark.parametrize(("rank", "said"), [("0", 1), ("1", 0)])
def test_what_all_refuse_is_said_once(onchip: Onchip, monkeypatch: pytest.MonkeyPatch, rank: str, said: int) -> None:
    for name, value in {"RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    result = onchip(*TRAIN, "--lr", "-1", "--out", "out")
    assert result.code == 2
    assert result.err.count("error: lr got -1") == said
    assert bool(result.err or result.out) == bool(said)
    assert not Path("out").exists()
