"""`onchip rules`, `devices`, `neurons`, `encoders` and `data`: what there is to choose from."""

import inspect
from typing import Annotated

import typer

from onchip.cli.shared import arguments as args
from onchip.cli.shared.command import Command
from onchip.cli.shared.failing import WRONG_REQUEST, failing
from onchip.errors import DataError, unknown_name
from onchip.runs.grammar import command_name, describe

data = typer.Typer(help="List, fetch and check data sets.", no_args_is_help=True)


Name = Annotated[str | None, typer.Argument(help="One of them, to print its documentation.", metavar="[NAME]")]


def rules(name: Name = None) -> None:
    """List the learning rules with their options, or explain one."""
    _show("rule", name)


def devices(name: Name = None) -> None:
    """List the devices that synapses can be made of with their options, or explain one."""
    _show("device", name)


def neurons(name: Name = None) -> None:
    """List the neurons with their options, or explain one."""
    _show("neuron", name)


def encoders(name: Name = None) -> None:
    """List the encoders of images with their options, or explain one."""
    _show("encoder", name)


def _show(kind: str, name: str | None) -> None:
    with failing():
        from onchip.training import registry

        parts, supplied = registry.known(kind), registry.SUPPLIED.get(kind, ())
        if name is not None:
            if command_name(name) not in parts:
                raise unknown_name(kind, name, parts)
            typer.echo(inspect.getdoc(parts[command_name(name)]))
            return
        width = max(map(len, parts))
        for each, function in parts.items():
            typer.echo(f"{each:<{width}}  {(inspect.getdoc(function) or '').partition(chr(10))[0]}")
            parameters = [p for p in inspect.signature(function).parameters.values() if p.name not in supplied]
            options = [p.name if p.default is p.empty else f"{p.name}={describe(p.default)}" for p in parameters]
            if options:
                typer.echo(f"{'':<{width}}  options: {', '.join(options)}")


@data.command("list", cls=Command)
def list_(data_root: args.DataRoot = None) -> None:
    """Name the data sets, and say which are at hand."""
    with failing():
        from onchip.data import status

        states = status(data_root)
        width = max(len(state.info.name) for state in states)
        for state in states:
            info = state.info
            whole = state.sizes == (info.train, info.test)
            found = "at hand" if whole else "in part"
            at_hand = "embedded" if info.embedded else found if state.present else "not fetched"
            part = f"{state.sizes[0]:,} + {state.sizes[1]:,} of " if state.present and not whole else ""
            size = f"{info.train:,} + {info.test:,} images of {'x'.join(map(str, info.shape))}, {info.classes} classes"
            typer.echo(f"{info.name:<{width}}  {at_hand:<11}  {info.title}: {part}{size}")
        typer.echo(f"\nA folder of your own pictures: folder:PATH. Files are looked for in {states[0].root}")


@data.command(cls=Command)
def fetch(
    name: Annotated[str, typer.Argument(help="The data set.")],
    data_root: args.DataRoot = None,
) -> None:
    """Download what is missing of a data set."""
    with failing():
        from onchip.data import fetch as fetch_files

        state = fetch_files(name, data_root)
        typer.echo(f"{name}: {'embedded, nothing to fetch' if state.info.embedded else f'complete in {state.root}'}")


@data.command(cls=Command)
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Data sets; all that are at hand if none is named.")] = None,
    data_root: args.DataRoot = None,
) -> None:
    """Read data sets whole, and compare them with what was published."""
    with failing():
        from onchip.data import check as check_files
        from onchip.data import status

        wrong = False
        for name in names or [state.info.name for state in status(data_root) if state.present]:
            try:
                data_set = check_files(name, data_root)
            except DataError as error:
                wrong = True
                typer.echo(f"error: {error}", err=True)
            else:
                shape = "x".join(map(str, data_set.shape))
                typer.echo(
                    f"{name}: sound; {data_set.train:,} training and {data_set.test:,} test images of {shape}, "
                    f"{len(data_set.classes)} classes"
                )
        if wrong:
            raise typer.Exit(WRONG_REQUEST)
