"""What the shell sees of errors and warnings."""

from __future__ import annotations

import warnings

import pytest
import typer

from onchip.cli.shared.failing import WRONG_REQUEST, failing
from onchip.errors import RequestError


def test_an_error_is_one_line_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, failing():
        raise RequestError("got 1; expected 2")
    assert caught.value.exit_code == WRONG_REQUEST
    assert capsys.readouterr().err == "error: got 1; expected 2\n"


def test_a_warning_is_one_line_while_a_command_runs() -> None:
    usual = warnings.formatwarning
    with failing():
        assert warnings.formatwarning("mind this", UserWarning, "file.py", 3) == "warning: mind this\n"
    assert warnings.formatwarning is usual
