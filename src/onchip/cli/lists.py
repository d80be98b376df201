"""`onchip rules`, `onchip devices` and `onchip data`: what there is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from onchip.cli.shared import arguments as args
from onchip.cli.shared.failing import WRONG_REQUEST, failing
from onchip.errors import DataError, unknown_name
from onchip.runs.grammar import command_name, describe

__all__ = ["data", "devices", "rules"]

data = typer.Typer(help="List, fetch and check data sets.", no_args_is_help=True)


def rules(
    name: Annotated[str | None, typer.Argument(help="A rule, to read all about it.", metavar="[RULE]")] = None,
) -> None:
    """List the learning rules, each with its options; or explain one."""
    with failing():
        from onchip.training.registry import known_rules

        _show("rule", known_rules(), name, settled=("model",))


def devices(
    name: Annotated[str | None, typer.Argument(help="A device, to read all about it.", metavar="[DEVICE]")] = None,
) -> None:
    """List the devices that synapses can be made of, each with its options; or explain one."""
    with failing():
        from onchip.training.registry import known_synapse_devices

        _show("device", known_synapse_devices(), name, settled=("rule", "lr", "lr_scaling"))


def _show(kind: str, known: Mapping[str, Callable[..., Any]], name: str | None, *, settled: tuple[str, ...]) -> None:
    """All functions of a kind with their options, or the one of a name in full."""
    if name is None:
        width = max(map(len, known))
        for each, function in known.items():
            summary = (inspect.getdoc(function) or "").partition("\n")[0]
            typer.echo(f"{each:<{width}}  {summary}")
            options = _options(function, settled)
            if options:
                typer.echo(f"{'':<{width}}  options: {', '.join(options)}")
        return
    if command_name(name) not in known:
        raise unknown_name(kind, name, known)
    typer.echo(inspect.getdoc(known[command_name(name)]))


def _options(function: Callable[..., Any], settled: tuple[str, ...]) -> list[str]:
    """A function's options as the command line writes them, with their defaults; it supplies some itself."""
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name not in settled]
    return [p.name if p.default is inspect.Parameter.empty else f"{p.name}={describe(p.default)}" for p in parameters]


@data.command("list")
def list_(data_root: args.DataRoot = None) -> None:
    """Name the data sets, and say which are at hand."""
    with failing():
        from onchip.data import status

        states = status(data_root)
        width = max(len(state.info.name) for state in states)
        for state in states:
            info = state.info
            at_hand = "embedded" if info.embedded else "at hand" if state.present else "not fetched"
            size = f"{info.train:,} + {info.test:,} images of {'x'.join(map(str, info.shape))}, {info.classes} classes"
            typer.echo(f"{info.name:<{width}}  {at_hand:<11}  {info.title}: {size}")
        typer.echo(f"\nA folder of your own pictures: folder:PATH. Files are looked for in {states[0].root}")


@data.command()
def fetch(
    name: Annotated[str, typer.Argument(help="The data set.")],
    data_root: args.DataRoot = None,
) -> None:
    """Download what is missing of a data set."""
    with failing():
        from onchip.data import fetch as fetch_files

        state = fetch_files(name, data_root)
        typer.echo(f"{name}: {'embedded, nothing to fetch' if state.info.embedded else f'complete in {state.root}'}")


@data.command()
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
                found = check_files(name, data_root)
            except DataError as error:
                wrong = True
                typer.echo(f"error: {error}", err=True)
            else:
                shape = "x".join(map(str, found.shape))
                typer.echo(
                    f"{name}: sound; {found.train:,} training and {found.test:,} test images of {shape}, "
                    f"{len(found.classes)} classes"
                )
        if wrong:
            raise typer.Exit(WRONG_REQUEST)
