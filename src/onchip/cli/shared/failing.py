"""Errors and warnings as the shell sees them: one line on standard error, and an exit code."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from onchip.errors import OnchipError

__all__ = ["DONE", "INTERRUPTED", "RUN_FAILED", "WRONG_REQUEST", "failing"]

DONE, RUN_FAILED, WRONG_REQUEST = 0, 1, 2
INTERRUPTED = 130  # what shells report for Ctrl-C: 128 + SIGINT


@contextmanager
def failing() -> Iterator[None]:
    """Turns the errors that onchip raises on purpose into a message and an exit code, without a traceback.

    Warnings meanwhile are one line, too, and do not show where in the code they come from.
    """
    before = warnings.formatwarning
    warnings.formatwarning = _one_line
    try:
        yield
    except OnchipError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(WRONG_REQUEST) from error
    except OSError as error:  # a full disk, a folder that went away
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(RUN_FAILED) from error
    finally:
        warnings.formatwarning = before


def _one_line(message: Warning | str, *_: Any, **__: Any) -> str:
    return f"warning: {message}\n"
