"""kill -9 at any time costs nothing but time: with --resume, results are those of an uninterrupted run."""

from __future__ import annotations

import random
import subprocess
import time

import pytest

from tests.faults.conftest import PATIENCE, Shell, assert_same, until

TINY = ("--net", "mlp", "--train-size", "200", "--batch-size", "8", "--steps", "2", "--threads", "1")
COMMANDS = {
    "train": ("train", "--rule", "fbp:period=10;transport=top:0.1", "--epochs", "16", *TINY),
    "compare": ("compare", "--rules", "bp,dfa", "--seeds", "2", "--epochs", "5", "--select", "best", *TINY),
    "jobs": ("compare", "--rules", "bp,dfa", "--seeds", "2", "--epochs", "8", "--jobs", "2", *TINY),
    "stream": ("train", "--neuron", "stochastic", "--rule", "own_noise_mirror", "--epochs", "5", *TINY),
    "device": ("train", "--synapses", "pulsed:cycle_spread=0.3", "--rule", "opzo", "--epochs", "10", *TINY),
}


def killed(shell: Shell, *arguments: str, after: float) -> None:
    """Start a command, and kill it some seconds after its run began; nothing of it remains."""
    process = shell.start(*arguments)
    run = shell.folder / "out" / "run.json"
    until(lambda: run.exists() or process.poll() is not None)
    time.sleep(after)
    process.kill()
    process.communicate(timeout=PATIENCE)
    until(lambda: not shell.left(process), 20)


def check(shell: Shell, kind: str, instants: random.Random, kills: int) -> None:
    begin = time.monotonic()
    process = shell.start(*COMMANDS[kind], "--out", "whole")
    until(lambda: (shell.folder / "whole" / "run.json").exists())
    begin = time.monotonic()
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, error
    seconds = time.monotonic() - begin
    for number in range(kills):
        after = instants.uniform(0, seconds)
        resumed = ("--resume",) if number else ()
        killed(shell, *COMMANDS[kind], "--out", "out", *resumed, after=after)
        records = shell.folder / "out" / "records.jsonl"
        done = len(records.read_text().splitlines()) if records.exists() else 0
        print(f"{kind}: killed {after:.2f} s of {seconds:.2f} s after it began, with {done} records")
    shell.run(*COMMANDS[kind], "--out", "out", "--resume")
    assert_same(shell.results("whole"), shell.results("out"))
    assert shell.files("whole") == shell.files("out")


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_killed_run_resumes_as_if_nothing_had_happened(kind: str, shell: Shell) -> None:
    check(shell, kind, random.Random(kind), 1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", COMMANDS)
@pytest.mark.parametrize("seed", range(5))
def test_at_many_instants(kind: str, seed: int, shell: Shell) -> None:
    check(shell, kind, random.Random(f"{kind} {seed}"), 2)


def test_workers_end_with_their_parent(shell: Shell) -> None:
    process = shell.start(*COMMANDS["jobs"], "--out", "out", "--epochs", "1000")
    until(lambda: len(workers(shell, process)) == 2)
    process.kill()  # while they still load torch
    until(lambda: not workers(shell, process), 1.0)
    process.communicate(timeout=PATIENCE)
    until(lambda: not shell.left(process), 20)


def workers(shell: Shell, process: subprocess.Popen[str]) -> list[int]:
    """Processes of a command that train for it."""
    return [number for number in shell.others(process) if "popen_loky" in command_line(number)]


def command_line(number: int) -> str:
    try:
        with open(f"/proc/{number}/cmdline") as file:
            return file.read()
    except OSError:  # it has ended
        return ""
