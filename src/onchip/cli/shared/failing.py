"""Errors and warnings as the shell sees them: one line on standard error, and an exit code."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import typer

from onchip._text import one_line
from onchip.cli.shared.interrupts import exit_code
from onchip.cli.shared.terminal import say
from onchip.errors import OnchipError, RequestError, UnsupportedError

Result = TypeVar("Result")

DONE, RUN_FAILED, WRONG_REQUEST = 0, 1, 2
MOST = 2**31 - 1


@contextmanager
def failing() -> Iterator[None]:
    """Turn interrupts, and the errors that onchip raises on purpose, into an exit code, without a traceback.

    Warnings meanwhile are one line, too, without the place in the code that they come from.
    """
    before = warnings.formatwarning
    warnings.formatwarning = _one_line
    try:
        yield
    except OnchipError as error:
        say(f"error: {one_line(str(error))}", error=True)
        raise typer.Exit(WRONG_REQUEST) from error
    except BrokenPipeError as error:
        say("error: the program that reads the output has ended, so this one ends, too", error=True)
        raise typer.Exit(RUN_FAILED) from error
    except OSError as error:  # a full disk, a folder or a terminal that went away
        with suppress(OSError):
            say(f"error: {one_line(str(error))}", error=True)
        raise typer.Exit(RUN_FAILED) from error
    except KeyboardInterrupt as interrupt:
        raise typer.Exit(exit_code(interrupt)) from interrupt
    finally:
        warnings.formatwarning = before


def require_range(least: int = 1, **values: int) -> None:
    """Raises RequestError unless the values of options are at least `least`, and at most `MOST`."""
    for name, value in values.items():
        if not least <= value <= MOST:
            raise RequestError(f"{name.replace('_', '-')} got {value}; expected {least} to {MOST:,}")


def supported(calls: Iterable[Callable[[], Result]], *, strict: bool) -> list[Result]:
    """The results of calls, without those that a rule does not support, which are named; strict raises that error."""
    results = []
    for call in calls:
        try:
            results.append(call())
        except UnsupportedError as error:
            if strict:
                raise
            say(f"left out: {one_line(str(error))}", error=True)
    return results


def _one_line(message: Warning | str, *_: Any, **__: Any) -> str:
    return f"warning: {one_line(str(message))}\n"
