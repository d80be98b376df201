"""Standard streams that are closed, full, or not read to their end, as a shell sets them up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from onchip.runs.record import append
from tests.examples import record
from tests.patience import PATIENCE


@pytest.fixture
def command(tmp_path: Path) -> str:
    """A command that needs no torch and prints two lines."""
    append(tmp_path / "records.jsonl", record())
    return f"{sys.executable} -m onchip report {tmp_path} --out {tmp_path / 'report'} --format md,csv"


def shell(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", text], capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.mark.parametrize(
    ("redirected", "code", "message"),
    [
        ("", 0, ""),
        (">&-", 2, "error: standard output is closed"),
        ("> /dev/full", 1, "error: [Errno 28] No space left on device"),
        ("2>&-", 0, ""),
        ("2>&- >&-", 2, ""),
        ("<&-", 0, ""),
        ("| true; exit ${PIPESTATUS[0]}", 1, "error: the program that reads the output has ended"),
        ("2>&1 >/dev/full | true; exit ${PIPESTATUS[0]}", 1, ""),
    ],
)
def test_a_stream_that_cannot_be_written_is_one_line_at_most(
    command: str, redirected: str, code: int, message: str
) -> None:
    result = shell(f"{command} {redirected}")
    assert result.returncode == code, result.stderr
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == bool(message)


@pytest.mark.parametrize("redirected", ["> /dev/full", ">&-", "| true; exit ${PIPESTATUS[0]}"])
def test_help_is_no_exception(redirected: str) -> None:
    result = shell(f"{sys.executable} -m onchip --help {redirected}")
    assert result.returncode in (1, 2)
    assert result.stderr.count("\n") <= 1


def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    program = """
import os, sys
from onchip.cli.shared.streams import whole_streams
with whole_streams():
    print(min(os.open(os.devnull, os.O_RDONLY), 3), sys.stderr.fileno())
"""
    assert shell(f"{sys.executable} -c '{program}' <&- 2>&-").stdout == "3 2\n"
