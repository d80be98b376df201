"""Signals, two writers, a full disk, and another number of jobs: each costs nothing that was finished."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.faults.conftest import Shell, assert_same, until

TINY = ("--net", "mlp", "--train-size", "100", "--steps", "2")
LONG = ("compare", "--rules", "bp,dfa", "--seeds", "1", "--epochs", "100000", "--out", "out", *TINY)


@pytest.mark.parametrize(
    ("number", "jobs"),
    [
        *((number, 1) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)),
        (signal.SIGTERM, 2),
        pytest.param(signal.SIGINT, 2, marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_a_command_and_names_the_next_one(number: int, jobs: int, shell: Shell) -> None:
    process = shell.start(*LONG, "--jobs", str(jobs))
    checkpoints = shell.folder / "out" / "checkpoints"
    until(lambda: len(list(checkpoints.glob("*.safetensors"))) == jobs)
    assert process.pid is not None
    os.killpg(process.pid, number)  # as a scheduler or a terminal does, to all processes
    code, output = shell.end(process)
    assert code == 128 + number
    assert f"continue with: onchip compare --out out --resume --jobs {jobs}\n" in output
    assert "Traceback" not in output
    assert {file.name for file in checkpoints.iterdir()} == {
        f"{rule}-seed0.safetensors" for rule in ("bp", "dfa")[:jobs]
    }
    until(lambda: not shell.left(process))


def test_a_folder_has_one_writer(shell: Shell) -> None:
    process = shell.start(*LONG)
    shell.begun(process)
    for more in ("--resume", "--force"):
        (shell.folder / "output").unlink()  # the first one has it open
        code, output = shell.run(*LONG, more)
        assert code == 2
        assert f"out is in use by process {process.pid} on " in output
        assert output.count("\n") == 1
    process.kill()
    process.join()
    code, output = shell.run("train", "--out", "out", "--epochs", "1", "--force", *TINY)
    assert code == 0, output


def test_a_full_disk_names_the_file_and_how_to_go_on(shell: Shell) -> None:
    command = ("train", "--epochs", "2", "--threads", "1", *TINY)
    assert shell.run(*command, "--out", "whole")[0] == 0
    code, output = shell.run(*command, "--out", "out", largest_file=40_000)
    assert code == 1
    assert "error: out/checkpoints/bp-seed0.safetensors cannot be written: File too large\n" in output
    assert "with: onchip train --out out --resume\n" in output
    assert shell.run("train", "--out", "out", "--resume")[0] == 0
    assert_same(shell.results("whole"), shell.results("out"))


def test_threads_belong_to_the_run(shell: Shell) -> None:
    command = ("compare", "--rules", "bp,dfa", "--seeds", "1", "--epochs", "3", "--keep-weights", *TINY)
    assert shell.run(*command, "--out", "whole")[0] == 0
    process = shell.start(*command, "--out", "out")
    until(lambda: list((shell.folder / "out" / "checkpoints").glob("*.safetensors")))
    process.kill()
    process.join()
    code, output = shell.run("compare", "--out", "out", "--resume", "--jobs", "2")
    assert code == 0, output
    assert_same(shell.results("whole"), shell.results("out"))
    assert json.loads((shell.folder / "out" / "run.json").read_text())["threads"] == 2
    assert {record["threads"] for record in shell.results("out")[0]} == {2}
    code, output = shell.run("compare", "--out", "out", "--resume", "--threads", "1")
    assert code == 2
    assert "threads was 2, now 1" in output
