"""The one way to standard output and standard error: names in records of others cannot control the terminal."""

import typer

from onchip._text import printable


def say(text: object, *, error: bool = False) -> None:
    """Print text and the end of its line.

    Args:
        text: What to print.
        error: Whether it goes to standard error.
    """
    typer.echo(printable(str(text)), err=error)
