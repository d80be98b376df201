"""The command line. Importing this imports no torch: `onchip --help` is quick."""

import os
from typing import Annotated

import typer

from onchip import allocator
from onchip.cli import chips
from onchip.cli.audit import audit
from onchip.cli.cost import cost
from onchip.cli.exchange import export, import_
from onchip.cli.hardware import hardware
from onchip.cli.lists import data, devices, encoders, networks, neurons, rules
from onchip.cli.predict import predict
from onchip.cli.report import report
from onchip.cli.runs import compare, train
from onchip.cli.shared.command import Command
from onchip.cli.shared.streams import whole_streams
from onchip.cli.shared.terminal import say

__all__ = ["app", "main"]

app = typer.Typer(
    name="onchip",
    help="Train spiking neural networks with the learning rules that silicon can run.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
TRAIN, ASK, LISTS, EXCHANGE = "Train and report", "Ask without training", "What there is", "Other tools"
GROUPS = {
    TRAIN: (compare, train, report, predict),
    ASK: (audit, cost),
    LISTS: (rules, networks, neurons, encoders, devices, hardware),
    EXCHANGE: (export,),
}
for group, commands in GROUPS.items():
    for command in commands:
        app.command(cls=Command, rich_help_panel=group)(command)
app.command("import", cls=Command, rich_help_panel=EXCHANGE)(import_)
app.add_typer(data, name="data", rich_help_panel=LISTS)
app.add_typer(chips.app, name="chips", rich_help_panel=LISTS)


def _print_version(requested: bool) -> None:
    if requested:
        from onchip import __version__

        say(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line: the `onchip` command."""
    # Threads that wait by spinning cost a busy machine a factor of 10 and more; threads that sleep at once cost
    # an idle one 15%. So they spin for some microseconds, unless the user has said otherwise. GNU's OpenMP, which
    # torch brings on Linux, reads this when torch is loaded.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    allocator.keep()
    with whole_streams():
        app()
