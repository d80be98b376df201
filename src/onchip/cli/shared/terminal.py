"""The one way to standard output and standard error: names in records of others cannot control the terminal."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from onchip._text import printable


def say(text: object, *, error: bool = False) -> None:
    """Print text and the end of its line.

    Args:
        text: What to print.
        error: Whether it goes to standard error.
    """
    if not _muted:
        typer.echo(printable(str(text)), err=error)


_muted = False


def mute(on: bool) -> None:
    """Print nothing from now on, or print again."""
    global _muted  # there is one terminal
    _muted = on


@contextmanager
def muted() -> Iterator[None]:
    """Print nothing while the block runs, warnings included; the block may end that earlier."""
    mute(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        mute(False)


def is_muted() -> bool:
    """Whether nothing is printed."""
    return _muted
