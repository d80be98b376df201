"""Options that several commands take; those of settings are generated from the fields of `RunConfig`."""

import dataclasses
import inspect
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import typer

from onchip.cli.shared.completion import names
from onchip.report.table import COLUMNS
from onchip.runs.config import DATA, NETWORK, RUN, TRAINING, RunConfig
from onchip.training.tensorboard import LOGS

Command = TypeVar("Command", bound=Callable[..., None])

Net = Annotated[
    str,
    typer.Option(
        help="Network: a name, such as mlp, layers such as 16C3-P2-F128, or my_net.py:build.",
        autocompletion=names("net"),
    ),
]

NeuronName = Annotated[str, typer.Option(help="Neuron, such as lif:decay=0.9.", autocompletion=names("neuron"))]

InputSize = Annotated[
    str,
    typer.Option(help="Size of the input: a data set's name, CxHxW, or my_data.py:load.", autocompletion=names("data")),
]

EncoderName = Annotated[
    str | None,
    typer.Option(
        help="How samples become signals.",
        show_default="the one that suits data and neuron",
        autocompletion=names("encoder"),
    ),
]

Steps = Annotated[int, typer.Option(help="Time steps T of one sample.")]


GROUPS = NETWORK, DATA, TRAINING, RUN
"""Groups of options, in the order in which `--help` shows them."""
WIDEST = 16
"""Characters that choices may take there; the help of an option with longer ones names them."""


def _option(group: str, text: str, *names: str) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=group)


DataRoot = Annotated[Path | None, _option(DATA, "Where data sets are. If left out, ONCHIP_DATA, or a cache.")]


def _show_all(context: typer.Context, requested: bool) -> None:
    if requested:
        for parameter in context.command.params:
            parameter.hidden = False  # type: ignore[attr-defined]  # options, of which each has it
        context.command.format_help(context, context.make_formatter())
        raise typer.Exit


def _run_options(
    data_root: DataRoot = None,
    download: Annotated[bool, _option(DATA, "Download the data set's files if missing.", "--download")] = False,
    config: Annotated[Path | None, _option(RUN, "TOML file of these options; those given here count.")] = None,
    out: Annotated[Path | None, _option(RUN, "Directory for the results. If left out, a new one.")] = None,
    force: Annotated[bool, _option(RUN, "Replace an earlier run in that directory.", "--force")] = False,
    resume: Annotated[bool, _option(RUN, "Continue the run in that directory.", "--resume")] = False,
    log: Annotated[
        str | None,
        typer.Option(
            help="Write curves while runs train: tensorboard.",
            rich_help_panel=RUN,
            autocompletion=names("log", tuple(LOGS)),
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            help="Columns to print, such as test,bits, or all. If left out, a few.",
            rich_help_panel=RUN,
            autocompletion=names("columns", [*COLUMNS, "all"]),
        ),
    ] = None,
    as_json: Annotated[
        bool, _option(RUN, "Print the records, and nothing else, to standard output.", "--json")
    ] = False,
    help_all: Annotated[
        bool,
        typer.Option(
            "--help-all",
            callback=_show_all,
            is_eager=True,
            expose_value=False,
            help="Show this message with all options, and exit.",
            rich_help_panel=RUN,
        ),
    ] = False,
) -> None: ...


def with_settings(command: Command, *, without: Collection[str] = ()) -> Command:
    """Give a command that takes `**options` an option for each setting of a run, and those of every run.

    Args:
        command: The command; its own parameters come first.
        without: The settings for which it gets no option.
    """
    own = inspect.signature(command, eval_str=True).parameters.values()
    parameters = [parameter for parameter in own if parameter.kind is not parameter.VAR_KEYWORD]
    hints = get_type_hints(RunConfig)
    parameters += [
        _parameter(field, hints[field.name]) for field in dataclasses.fields(RunConfig) if field.name not in without
    ]
    parameters += inspect.signature(_run_options, eval_str=True).parameters.values()
    parameters.sort(key=_group)
    signature = [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in parameters]
    vars(command)["__signature__"] = inspect.Signature(signature)
    return command


def _group(parameter: inspect.Parameter) -> int:
    """The place of an option's group among the others; the context, which is no option, comes first."""
    if parameter.name == "context":
        return -1
    (option,) = parameter.annotation.__metadata__
    return GROUPS.index(option.rich_help_panel)


def _parameter(field: dataclasses.Field[Any], hint: Any) -> inspect.Parameter:
    """A setting's option. `RunConfig` itself checks choices, because it knows the nearest one."""
    choices = get_args(hint) if get_origin(hint) is Literal else ()
    setting, name = field.metadata["setting"], f"--{field.name.replace('_', '-')}"
    option = typer.Option(
        name,
        help=setting.help,
        hidden=setting.advanced,
        rich_help_panel=setting.group,
        metavar=joined if 0 < len(joined := "|".join(choices)) <= WIDEST else None,
        autocompletion=names(field.name, choices),
    )
    annotated: Any = Annotated
    annotation = annotated[str if choices else hint, option]
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=annotation)
