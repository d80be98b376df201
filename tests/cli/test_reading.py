"""Data that takes long to read says how far it is, and an interruption leaves nothing half done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from onchip.cli.shared import progress
from onchip.data.progress import report
from tests.data.event_files import bin_file, some, write_cut_gestures
from tests.patience import PATIENCE

from .conftest import Onchip

COMMAND = """
import signal, sys

from onchip.cli import main

for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv[0] = "onchip"
main()
"""
"""The command line with signals of its own: whoever runs the tests may ignore them."""


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_is_a_bar_or_a_line_for_each_tenth(
    terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(progress, "QUIET", 0.0)
    with progress.reading():
        for done in range(41):
            report("set: recordings binned", done, 40)
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = [line for line in printed.err.splitlines() if line.startswith("set: recordings binned: ")]
    assert lines == ([] if terminal else [f"set: recordings binned: {done} of 40" for done in range(0, 41, 4)])


def test_what_is_read_fast_is_read_in_silence(onchip: Onchip, tmp_path: Path) -> None:
    write_cut_gestures(tmp_path / "data")
    result = onchip("data", "check", "dvs-gesture")
    assert result.code == 2, "a part of the recordings"
    assert result.err.startswith("error: dvs-gesture")
    assert result.err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_part_of_a_file(number: signal.Signals, tmp_path: Path) -> None:
    for split in ("Train", "Test"):
        for digit in range(10):
            folder = tmp_path / "NMNIST" / split / str(digit)
            folder.mkdir(parents=True)
            (folder / "0.bin").write_bytes(bin_file(some(20_000, size=34, until=315_000)))
            for index in range(1, 1000):
                os.link(folder / "0.bin", folder / f"{index}.bin")
    command = [sys.executable, "-c", COMMAND, "train", "--data", "n-mnist", "--out", str(tmp_path / "run")]
    run = subprocess.Popen(command, env={**os.environ, "ONCHIP_DATA": str(tmp_path)}, stderr=subprocess.PIPE)
    binned = tmp_path / "binned"
    while not (binned.is_dir() and list(binned.iterdir())):
        assert run.poll() is None, "it ended before it began to bin"
        time.sleep(0.05)
    run.send_signal(number)
    try:
        error = run.communicate(timeout=PATIENCE)[1].decode()
    finally:
        run.kill()
    assert run.returncode == 128 + number, error
    assert "Traceback" not in error
    assert [path.suffix for path in binned.iterdir()] == [".lock"]
