"""Standard streams that are closed, full, or that nobody reads any more."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from onchip._text import one_line
from onchip.cli.shared.failing import RUN_FAILED, WRONG_REQUEST
from onchip.cli.shared.terminal import say


@contextmanager
def whole_streams() -> Iterator[None]:
    """One line on standard error and an exit code, instead of a traceback, when output cannot be written.

    A closed standard error takes nothing, but a closed standard output is refused: all would run for nothing.
    """
    closed = sys.stdout is None
    _open_descriptors()
    if closed:
        _end("standard output is closed; expected a terminal, a file, a pipe or /dev/null", WRONG_REQUEST)
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        _end(str(error), RUN_FAILED)
    except SystemExit:
        _drop_unwritten()
        raise


def _open_descriptors() -> None:
    """Give 0, 1 and 2 to the null device where they are closed: the next file opened would take their place."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", closefd=False))  # noqa: SIM115 (to the end of the process)


def _end(message: str, code: int) -> None:
    with suppress(OSError):  # nobody is there to read it
        say(f"error: {one_line(message)}", error=True)
    _drop_unwritten()
    raise SystemExit(code)


def _drop_unwritten() -> None:
    """Send what a stream still holds nowhere if it cannot be written, which Python would complain about at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
