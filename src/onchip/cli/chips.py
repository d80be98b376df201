"""`onchip chips`: what learning hardware can do, and which rules it can run."""

from __future__ import annotations

import sys
import warnings
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer
from rich.console import Console
from rich.table import Table

from onchip import chips
from onchip._text import one_line
from onchip.cli.shared.arguments import EncoderName, InputSize, Net, NeuronName, Steps
from onchip.cli.shared.command import Command
from onchip.cli.shared.completion import names
from onchip.cli.shared.exchanged import network_asked
from onchip.cli.shared.failing import failing, require_range
from onchip.cli.shared.samples import sample_of
from onchip.cli.shared.table import paragraph, terminal_width
from onchip.cli.shared.terminal import say
from onchip.cli.shared.verdicts import HEADER, JUDGED, LEGEND, Judged, details, table
from onchip.errors import UnsupportedError, unknown_name
from onchip.runs.config import RunConfig
from onchip.runs.grammar import grid

if TYPE_CHECKING:
    from onchip.cost.estimate import Pricing
    from onchip.mapping import Setting, Verdict
    from onchip.training.registry import Part

DEFAULTS = RunConfig()
OPTIMIZERS = Literal["sgd", "adam", "adamw"]
UPDATES = Literal["sequence", "step"]

app = typer.Typer(help="List learning hardware, show the facts, and check which rules it can run.")

ChipName = Annotated[
    str,
    typer.Argument(
        help="A chip, as `onchip chips` lists them, or a TOML file.",
        metavar="CHIP",
        autocompletion=names("chip", chips.known_chips()),
    ),
]


@app.callback(invoke_without_command=True)
def _list(context: typer.Context) -> None:
    if context.invoked_subcommand is not None:
        return
    with failing():
        known = [chips.chip(name) for name in chips.known_chips()]
        width = max(len(chip.name) for chip in known)
        for chip in known:
            say(f"{chip.name:<{width}}  {chip.title}: {chip.engine.grammar.text}")
            for line in (chip.engine.rule.text, chip.about):
                say(f"{'':<{width}}  {line}")
        say("\n`onchip chips show NAME` prints all facts with their sources; a chip of your own is a TOML file.")


@app.command(cls=Command)
def show(name: ChipName) -> None:
    """Print all facts of a chip with their sources."""
    with failing():
        chip = chips.chip(name)
        lines = [f"{chip.name}: {chip.title}", chip.about]
        for section, facts in chip.facts().items():
            lines += ["", section]
            width = max(map(len, facts))
            for key, (fact, about) in facts.items():
                lines.append(f"  {key:<{width}}  {fact}: {about}")
                if fact.source:
                    lines.append(f"  {'':<{width}}  {fact.source}")
        say("\n".join(one_line(line) if line and line[0] != " " else line for line in lines))


@app.command(cls=Command)
def check(
    name: ChipName,
    net: Net = DEFAULTS.net,
    rules: Annotated[
        str | None,
        typer.Option(
            "--rules",
            "--rule",
            help="Rules, such as dfa,s_tllr:feedback=dfa. If left out, all.",
            autocompletion=names("rule"),
        ),
    ] = None,
    neuron: NeuronName = DEFAULTS.neuron,
    data: InputSize = DEFAULTS.data,
    encoder: EncoderName = None,
    steps: Steps = DEFAULTS.steps,
    lr: Annotated[float, typer.Option(help="Learning rate in the expressions.")] = 2.0**-7,
    optimizer: Annotated[
        str,
        typer.Option(
            help="Optimizer.",
            metavar="|".join(get_args(OPTIMIZERS)),
            autocompletion=names("optimizer", get_args(OPTIMIZERS)),
        ),
    ] = "sgd",
    momentum: Annotated[float, typer.Option(help="Momentum of the optimizer.")] = 0.0,
    batch_size: Annotated[int, typer.Option(help="Samples of one update.")] = 1,
    update: Annotated[
        str,
        typer.Option(
            help="When weights are meant to change: after each sequence, or at each time step.",
            metavar="|".join(get_args(UPDATES)),
            autocompletion=names("update", get_args(UPDATES)),
        ),
    ] = "sequence",
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each rule.")] = False,
) -> None:
    """Say for each rule whether a chip can run it: faithful, approximate or unsupported, and why.

    The verdict follows from what the rule does at each synapse and from the facts of the chip. Faithful rules come
    with their update in the grammar of the chip's learning engine, with memory, traffic and energy. Exit code 2: the
    request was wrong.
    """
    with failing():
        from onchip.mapping import Setting

        chip = chips.chip(name)
        require_range(steps=steps, batch_size=batch_size)
        setting = Setting(
            steps=steps,
            lr=lr,
            optimizer=_one_of("optimizer", optimizer, OPTIMIZERS),
            momentum=momentum,
            batch_size=batch_size,
            update=_one_of("update", update, UPDATES),
        )
        named = None if rules is None else grid(rules)
        judged, about = _verdicts(chip, setting, net, neuron, data, encoder, named)
        _show(judged, about, as_json=as_json)


def _show(judged: list[Judged], about: str, *, as_json: bool) -> None:
    if as_json:
        for each in judged:
            say(each.to_json(about))
        return
    below = [details(each.verdict) for each in judged if each.verdict is not None]
    if not sys.stdout.isatty():
        say("\n\n".join([about, table(judged), *below, JUDGED, LEGEND]))
        return
    drawn = Table(title=one_line(about), title_justify="left")
    for head in HEADER:
        drawn.add_column(head)
    styles = {"faithful": "green", "approximate": "yellow"}
    for each in judged:
        cells = [one_line(cell) for cell in each.row()]
        drawn.add_row(*cells, style=styles.get(cells[1], "dim"))
    Console(highlight=False, markup=False).print(drawn)
    say("\n" + "\n\n".join([*below, *(paragraph(text, terminal_width()) for text in (JUDGED, LEGEND))]))


def _verdicts(
    chip: chips.Chip, setting: Setting, net: str, neuron: str, data: str, encoder: str | None, rules: list[str] | None
) -> tuple[list[Judged], str]:
    """What is said of each rule, and of which network and chip."""
    from onchip.cost.estimate import Pricing
    from onchip.training import registry

    parts = registry.distinct(rules or registry.known("rule"))
    network, size, data = network_asked(net, neuron, data)
    model, signal, labels = sample_of(network, data, size, encoder, setting.steps)
    loss = registry.loss(None, network.kind)
    pricing = Pricing(model, network.kind, signal, labels, loss, 1, 10_000, 32, "horowitz-45nm")
    if network.kind.over_time:
        setting = replace(setting, steps=network.kind.sizes(signal)[1])
    shape = "x".join(map(str, size.shape))
    drawn = "" if data == "digits" or size.data is not None else " of random numbers"
    about = (
        f"{net} of {network.neuron} neurons, input {shape}{drawn}, T = {setting.steps}, on {chip.name}: {chip.title}"
    )
    judged = []
    for part in parts:
        try:
            judged.append(Judged(part.label, _judged(part, chip, setting, pricing)))
        except UnsupportedError as error:
            judged.append(Judged(part.label, None, str(error)))
    return judged, about


def _judged(part: Part, chip: chips.Chip, setting: Setting, pricing: Pricing) -> Verdict:
    import torch

    from onchip.mapping import check as judged
    from onchip.mapping import inputs_of

    bill = None
    with (
        warnings.catch_warnings(),
        suppress(UnsupportedError),
    ):  # of a rule whose transports only training shows, or which is refused below
        warnings.simplefilter("ignore")  # of streams, which are priced beside
        bill = pricing.price(part, part.label).step
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        rule = part(pricing.model)
        try:
            inputs = inputs_of(pricing.model, rule, pricing.signal)
            return judged(rule, chip, setting=setting, inputs=inputs, bill=bill, label=part.label)
        finally:
            rule.detach()


def _one_of(option: str, value: str, choices: Any) -> Any:
    if value not in get_args(choices):
        raise unknown_name(option, value, get_args(choices))
    return value
