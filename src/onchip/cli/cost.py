"""`onchip cost`: what would each rule cost on this network?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from onchip.cli.shared.failing import failing
from onchip.cli.shared.pricelist import HEADER, cells, markdown, note, to_json
from onchip.cli.shared.sizes import size_of
from onchip.errors import RequestError, UnsupportedError
from onchip.runs.config import RunConfig

if TYPE_CHECKING:
    from onchip.cost.estimate import Price, Pricing

__all__ = ["cost"]

USUAL = RunConfig()
SAMPLES = 2
"""Samples of the step that is counted: estimates of feedback centre the output over them."""


def cost(
    rules: Annotated[
        list[str] | None,
        typer.Argument(
            help="Rules, such as bp fbp:period=10. Usually all that can train the network.",
            metavar="[RULE]...",
            show_default=False,
        ),
    ] = None,
    net: Annotated[str, typer.Option(help="Network.")] = "conv-small",
    neuron: Annotated[str, typer.Option(help="Neuron, such as lif:decay=0.9.")] = "lif",
    data: Annotated[str, typer.Option(help="Size of the input: a data set's name, or CxHxW.")] = USUAL.data,
    classes: Annotated[int | None, typer.Option(help="Classes. Usually the data set's, or 10.")] = None,
    encoder: Annotated[
        str | None, typer.Option(help="How images become signals. Usually what suits the neuron.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Time steps T of one image.")] = USUAL.steps,
    batch_size: Annotated[int, typer.Option(help="Samples a training step.")] = USUAL.batch_size,
    train_steps: Annotated[int, typer.Option(help="Training steps that transports are averaged over.")] = 10_000,
    bits: Annotated[int, typer.Option(help="Bits of a number.")] = 32,
    hardware: Annotated[str, typer.Option(help="Table of prices of operations.")] = "horowitz-45nm",
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each rule.")] = False,
) -> None:
    """Price rules on a network and input size, without training: one step of the engine, counted.

    Weights, the step's samples (digits for the data set digits, else random pixels) and draws come from one seed.
    Exit code 2: the request was wrong.
    """
    with failing():
        ranges = {"steps": steps, "batch-size": batch_size, "train-steps": train_steps, "bits": bits}
        for name, value in ranges.items():
            if not 1 <= value < 2**31:
                raise RequestError(f"{name} got {value}; expected at least 1")
        if classes is not None and not 2 <= classes <= 100_000:
            raise RequestError(f"classes got {classes}; expected 2 to 100,000")
        shape, usual = size_of("data", data)
        pricing = _pricing(
            net, neuron, data, shape, classes or usual, encoder, steps, batch_size, train_steps, bits, hardware
        )
        bp, found = _priced(pricing, rules)
        over = f"T = {steps}, " if pricing.kind.over_time else ""
        about = f"{net} of {neuron} neurons, input {'x'.join(map(str, shape))}, {over}batches of {batch_size}"
        if as_json:
            for price in found:
                typer.echo(to_json(price, bp, about, pricing))
        elif sys.stdout.isatty():
            table = Table(title=about, caption=note(pricing), title_justify="left", caption_justify="left")
            for index, name in enumerate(HEADER):
                table.add_column(name, justify="left" if index == 0 else "right", overflow="fold")
            for price in found:
                table.add_row(*cells(price, bp, pricing))
            Console(highlight=False, markup=False).print(table)
        else:
            typer.echo(markdown(found, bp, about, pricing), nl=False)


def _pricing(
    net: str,
    neuron: str,
    data: str,
    shape: tuple[int, int, int],
    classes: int,
    encoder: str | None,
    steps: int,
    batch_size: int,
    train_steps: int,
    bits: int,
    hardware: str,
) -> Pricing:
    """The network and a few samples, all of one seed."""
    import torch

    from onchip.cost.energy import table
    from onchip.cost.estimate import Pricing
    from onchip.training import registry

    table(hardware, bits=bits)  # refused before anything is computed
    make_neuron, kind = registry.neuron(neuron)
    generator = torch.Generator().manual_seed(0)
    encode, _ = registry.encoder(encoder, kind, steps=steps, generator=generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = registry.network(net)(shape, classes, neuron=make_neuron)
    if data == "digits":
        from onchip.data import load

        split = load("digits").train
        images, labels = split.images[:SAMPLES].float() / 255, split.labels[:SAMPLES] % classes
    else:
        images = torch.rand(SAMPLES, *shape, generator=generator)
        labels = torch.randint(classes, (SAMPLES,), generator=generator)
    return Pricing(
        model, kind, encode(images), labels, registry.loss(None, kind), batch_size, train_steps, bits, hardware
    )


def _priced(pricing: Pricing, rules: list[str] | None) -> tuple[Price | None, list[Price]]:
    """The price of bp, that all transport is held against, and those that were asked for."""
    from onchip.training import registry

    asked = [registry.part("rule", text) for text in rules or registry.known("rule")]
    try:
        bp = pricing.price(registry.part("rule", "bp"), "bp")
    except UnsupportedError:
        bp = None
    found = []
    for make in asked:
        try:
            found.append(bp if make.label == "bp" and bp else pricing.price(make, make.label))
        except UnsupportedError as error:
            if rules is not None:
                raise
            typer.echo(f"left out: {error}", err=True)
    return bp, found
