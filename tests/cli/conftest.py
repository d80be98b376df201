"""The command line in this process, in a folder of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from onchip.cli import app


@dataclass(frozen=True)
class Result:
    """What the shell would see."""

    code: object
    out: str
    err: str


Onchip = Callable[..., Result]


@pytest.fixture
def onchip(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Onchip:
    """`onchip("compare", "--seeds", "1")` as a shell would run it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONCHIP_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("COLUMNS", raising=False)  # which workers of pytest-xdist have

    def run(*arguments: str) -> Result:
        with pytest.raises(SystemExit) as exit_info:
            app(list(arguments))
        printed = capsys.readouterr()
        return Result(exit_info.value.code or 0, printed.out, printed.err)

    return run
