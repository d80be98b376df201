"""`onchip rules`, `devices`, `neurons`, `encoders` and `data`: what there is to choose from."""

import inspect
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onchip.cli.shared import arguments as args
from onchip.cli.shared import completion
from onchip.cli.shared.command import Command
from onchip.cli.shared.failing import WRONG_REQUEST, failing
from onchip.cli.shared.progress import reading
from onchip.cli.shared.terminal import say
from onchip.errors import DataError, unknown_name
from onchip.runs.grammar import command_name, describe

if TYPE_CHECKING:
    from onchip.data import Checked, DatasetInfo

data = typer.Typer(help="List, fetch and check data sets.", no_args_is_help=True)


def _name_of(option: str) -> Any:
    """An argument that may name one of the values of an option."""
    text = "One of them, to print its documentation."
    return typer.Argument(help=text, metavar="[NAME]", autocompletion=completion.names(option))


def rules(name: Annotated[str | None, _name_of("rule")] = None) -> None:
    """List the learning rules with their options, or explain one."""
    _show("rule", name)


def networks(name: Annotated[str | None, _name_of("net")] = None) -> None:
    """List the networks with their layers and sources, or explain one."""
    with failing():
        from onchip.training import registry

        parts = registry.known("network")
        if name is not None:
            part = registry.network(name)
            say(f"{part}\n\n{inspect.getdoc(part)}")
            return
        width = max(map(len, parts))
        for each, network in parts.items():
            say(f"{each:<{width}}  {network}")
            if source := vars(network).get("about"):
                say(f"{'':<{width}}  {source}")
        say("\nLayers also name a network, such as 16C3-P2-F128; `onchip networks 16C3-P2-F128` explains them.")


def devices(name: Annotated[str | None, _name_of("synapses")] = None) -> None:
    """List the devices that synapses can be made of with their options, or explain one."""
    _show("device", name)


def neurons(name: Annotated[str | None, _name_of("neuron")] = None) -> None:
    """List the neurons with their options, or explain one."""
    _show("neuron", name)


def encoders(name: Annotated[str | None, _name_of("encoder")] = None) -> None:
    """List the encoders with their options, or explain one."""
    _show("encoder", name)


def _show(kind: str, name: str | None) -> None:
    with failing():
        from onchip.training import registry

        parts, supplied = registry.known(kind), registry.SUPPLIED.get(kind, ())
        if name is not None:
            if command_name(name) not in parts:
                raise unknown_name(kind, name, parts)
            say(inspect.getdoc(parts[command_name(name)]))
            return
        width = max(map(len, parts))
        for each, function in parts.items():
            say(f"{each:<{width}}  {(inspect.getdoc(function) or '').partition(chr(10))[0]}")
            _say_options(function, width, supplied)


def _say_options(function: Callable[..., Any], width: int, supplied: Collection[str] = ()) -> None:
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name not in supplied]
    options = [p.name if p.default is p.empty else f"{p.name}={describe(p.default)}" for p in parameters]
    if options:
        say(f"{'':<{width}}  options: {', '.join(options)}")


def _samples(found: "DatasetInfo | Checked") -> str:
    """What the samples of a data set are, and their size."""
    kind, size = found.kind, "x".join(map(str, found.shape))
    time = f" over {'up to ' if kind.own_steps else ''}{found.steps} {'steps' if kind.own_steps else 'frames'}"
    return f"{kind.name} of {size}{time if kind.over_time else ''}"


@data.command("list", cls=Command)
def list_(data_root: args.DataRoot = None) -> None:
    """Name the data sets, and say which are at hand."""
    with failing():
        from onchip.data import status
        from onchip.data.datasets import registry

        states, makers = status(data_root), registry()
        width = max(len(state.info.name) for state in states)
        for state in states:
            info = state.info
            whole = info.whole(*state.sizes)
            found = "at hand" if whole else "in part"
            at_hand = "embedded" if info.embedded else found if state.present else "not fetched"
            part = f"{state.sizes[0]:,} + {state.sizes[1]:,} of " if state.present and not whole else ""
            of = state.sizes if whole else (info.train, info.test)
            size = f"{of[0]:,} + {of[1]:,} {_samples(info)}, {info.classes} classes"
            say(f"{info.name:<{width}}  {at_hand:<11}  {info.title}: {part}{size}")
            _say_options(makers[info.name], width)
        say(f"\nPictures of your own: folder:PATH; sequences: ts:PATH. Files are looked for in {states[0].root}")


@data.command(cls=Command)
def fetch(
    name: Annotated[str, typer.Argument(help="The data set.", autocompletion=completion.names("data"))],
    data_root: args.DataRoot = None,
) -> None:
    """Download what is missing of a data set."""
    with failing():
        from onchip.data import fetch as fetch_files

        state = fetch_files(name, data_root)
        say(f"{name}: {'embedded, nothing to fetch' if state.info.embedded else f'complete in {state.root}'}")


@data.command(cls=Command)
def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Data sets; all that are at hand if none is named.", autocompletion=completion.names("data")
        ),
    ] = None,
    data_root: args.DataRoot = None,
) -> None:
    """Read data sets whole, and compare them with what was published."""
    with failing():
        from onchip.data import check as check_files
        from onchip.data import status

        wrong = False
        for name in names or [state.info.name for state in status(data_root) if state.present]:
            try:
                with reading():
                    data_set = check_files(name, data_root)
            except DataError as error:
                wrong = True
                say(f"error: {error}", error=True)
            else:
                say(
                    f"{name}: sound; {data_set.train:,} training and {data_set.test:,} test {_samples(data_set)}, "
                    f"{len(data_set.classes)} classes"
                )
        if wrong:
            raise typer.Exit(WRONG_REQUEST)
