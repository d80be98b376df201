"""kill -9 at any time costs nothing but time: with --resume, results are those of an uninterrupted run."""

from __future__ import annotations

import random
import shutil
import time

import pytest

from tests.faults.conftest import Shell, assert_same, until

TINY = ("--net", "mlp", "--train-size", "200", "--batch-size", "8", "--steps", "2", "--threads", "1")
COMMANDS = {
    "train": ("train", "--rule", "fbp:period=10;transport=top:0.1", "--epochs", "8", *TINY),
    "compare": ("compare", "--rules", "bp,dfa", "--seeds", "2", "--epochs", "3", "--select", "best", *TINY),
    "jobs": ("compare", "--rules", "bp,dfa", "--seeds", "1", "--epochs", "6", "--jobs", "2", *TINY),
    "stream": ("train", "--neuron", "stochastic", "--rule", "own_noise_mirror", "--epochs", "4", *TINY),
    "device": (
        *("train", "--neuron", "stochastic", "--synapses", "pulsed:cycle_spread=0.3"),
        *("--rule", "ssnn_bp", "--epochs", "4", *TINY),
    ),
}


def check(shell: Shell, kind: str, kills: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Kill a command at random times after it began, each time a new one, and compare what resuming gives."""
    process = shell.start(*COMMANDS[kind], "--out", "whole")
    shell.begun(process, "whole")
    begin = time.monotonic()
    code, output = shell.end(process)
    assert code == 0, output
    seconds, chance = time.monotonic() - begin, random.Random(kind)
    for _ in range(kills):
        shutil.rmtree(shell.folder / "out", ignore_errors=True)
        process, after = shell.start(*COMMANDS[kind], "--out", "out"), chance.uniform(0, seconds)
        shell.begun(process)
        time.sleep(after)
        process.kill()
        code, _ = shell.end(process)
        until(lambda: not shell.left(process))  # noqa: B023 (called here)
        kept = sorted(shell.files("out") - {".lock", "run.json"})
        with capsys.disabled():
            print(f"\n{kind}: exit code {code}, {after:.2f} of {seconds:.2f} s after it began; kept {kept}", end="")
        code, output = shell.run(*COMMANDS[kind], "--out", "out", "--resume")
        assert code == 0, output
        assert_same(shell.results("whole"), shell.results("out"))
        assert shell.files("whole") == shell.files("out")


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_killed_run_resumes_as_if_nothing_had_happened(
    kind: str, shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    check(shell, kind, 1, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in COMMANDS if kind != "jobs"])
def test_at_more_instants(kind: str, shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    check(shell, kind, 2, capsys)


def test_workers_end_with_their_parent(shell: Shell) -> None:
    process = shell.start("compare", "--rules", "bp,dfa", "--epochs", "1000", "--jobs", "2", "--out", "out", *TINY)
    until(lambda: len(shell.others(process, "popen_loky")) == 2)
    process.kill()  # while they still load torch
    process.join()
    until(lambda: not shell.others(process, "popen_loky"))
    until(lambda: not shell.left(process))
