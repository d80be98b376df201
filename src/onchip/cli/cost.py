"""`onchip cost`: what would each rule cost on this network?"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from onchip.cli.shared.arguments import EncoderName, InputSize, Net, NeuronName, Steps
from onchip.cli.shared.completion import names
from onchip.cli.shared.exchanged import network_asked, nir_file
from onchip.cli.shared.failing import failing, require_range, supported
from onchip.cli.shared.memorylist import RuleMemory, parsed, print_memory
from onchip.cli.shared.pricelist import cells, header, important, markdown, note, to_json, unpriced
from onchip.cli.shared.samples import sample_of
from onchip.cli.shared.table import drawn, paragraph, terminal_width
from onchip.cli.shared.terminal import say
from onchip.cost.energy import known_tables
from onchip.cost.energy import table as energy_table
from onchip.errors import RequestError, UnsupportedError
from onchip.runs.config import RunConfig, from_mapping

if TYPE_CHECKING:
    from onchip.cost.estimate import Price, Pricing
    from onchip.training.footprint import Footprint
    from onchip.training.registry import Part

DEFAULTS = RunConfig()


def cost(
    rules: Annotated[
        list[str] | None,
        typer.Argument(
            help="Rules, such as bp fbp:period=10; if left out, all that can train the network. FILE.nir is a network "
            "from elsewhere, in place of --net, --neuron, --data and --classes.",
            metavar="[FILE.nir] [RULE]...",
            show_default=False,
            autocompletion=names("rule"),
        ),
    ] = None,
    net: Net = DEFAULTS.net,
    neuron: NeuronName = DEFAULTS.neuron,
    data: InputSize = DEFAULTS.data,
    classes: Annotated[
        int | None, typer.Option(help="Number of classes.", show_default="the data set's, or 10")
    ] = None,
    encoder: EncoderName = None,
    steps: Steps = DEFAULTS.steps,
    batch_size: Annotated[int, typer.Option(help="Samples per training step.")] = DEFAULTS.batch_size,
    train_steps: Annotated[int, typer.Option(help="Training steps that transports are averaged over.")] = 10_000,
    bits: Annotated[int, typer.Option(help="Bits of a number.")] = 32,
    hardware: Annotated[
        str,
        typer.Option(
            help="Table of energies, as `onchip hardware` lists them.",
            autocompletion=names("hardware", known_tables()),
        ),
    ] = "horowitz-45nm",
    memory: Annotated[
        bool, typer.Option("--memory", help="Print the memory of a training step instead, predicted from small ones.")
    ] = False,
    memory_limit: Annotated[
        str | None, typer.Option(help="With --memory: a size, such as 8GiB, for the largest batch that fits into it.")
    ] = None,
    optimizer: Annotated[str, typer.Option(help="With --memory: adam, adamw or sgd.")] = DEFAULTS.optimizer,
    precision: Annotated[str, typer.Option(help="With --memory: float32 or bfloat16.")] = DEFAULTS.precision,
    chunk: Annotated[
        int | None, typer.Option(help="With --memory: samples of a step to compute at a time.", show_default="all")
    ] = DEFAULTS.chunk,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="With --memory: compute each layer again in the backward pass.")
    ] = DEFAULTS.recompute,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each rule.")] = False,
) -> None:
    """Price rules on a network and input size, without training: one step of the engine, counted.

    Weights, the step's samples (the first ones of digits and of data of your own, else random numbers) and draws come
    from one seed. Exit code 2: the request was wrong.
    """
    with failing():
        from onchip.cost.estimate import Pricing
        from onchip.training import registry

        require_range(steps=steps, batch_size=batch_size, train_steps=train_steps, bits=bits)
        if classes is not None and not 2 <= classes <= 100_000:
            raise RequestError(f"classes got {classes}; expected 2 to 100,000")
        limit = None if memory_limit is None else parsed("memory-limit", memory_limit)
        asked = {"optimizer": optimizer, "precision": precision, "chunk": chunk, "recompute": recompute}
        for name, value in {**asked, "memory_limit": memory_limit}.items() if not memory else ():
            if value != getattr(DEFAULTS, name, None):
                raise RequestError(f"{name.replace('_', '-')} got {value}; expected --memory beside it")
        energy_table(hardware, bits=bits)  # refused before anything is computed
        file, rules = nir_file(rules)
        if file is not None:
            if net != DEFAULTS.net:
                raise RequestError(f"got net {net} and {file}; expected one network")
            net = file
        network, size, data = network_asked(net, neuron, data, classes)
        shape = "x".join(map(str, size.shape))
        if memory:
            from onchip.training.footprint import Footprint

            config = from_mapping({"encoder": encoder, "steps": steps, "batch_size": batch_size, **asked})
            over = f"T = {steps}, " if network.kind.over_time else ""
            about = f"{net} of {network.neuron} neurons, input {shape}, {over}batches of {batch_size}"
            footprint = Footprint(config, network, size.shape, size.classes, size.samples)
            needs = [
                partial(_memory, footprint, make, limit) for make in registry.distinct(rules or registry.known("rule"))
            ]
            print_memory(supported(needs, strict=rules is not None), about, config, memory_limit, as_json=as_json)
            return
        sample = sample_of(network, data, size, encoder, steps)
        loss = registry.loss(None, network.kind)
        pricing = Pricing(sample[0], network.kind, *sample[1:], loss, batch_size, train_steps, bits, hardware)
        bp, prices = _priced(pricing, rules)
        over = f"T = {network.kind.sizes(pricing.signal)[1]}, " if pricing.kind.over_time else ""
        about = f"{net} of {network.neuron} neurons, input {shape}, {over}batches of {batch_size}"
        if as_json:
            for price in prices:
                say(to_json(price, bp, about, pricing))
        elif sys.stdout.isatty():
            width = terminal_width()
            rows = [cells(price, bp, pricing) for price in prices]
            lines, left_out = drawn(header(pricing.prices), rows, important(pricing.prices), width)
            rest = [f"--json also has: {', '.join(left_out)}."] if left_out else []
            below = [paragraph(text, width) for text in (*rest, *unpriced(prices, pricing), note(pricing))]
            say("\n\n".join([paragraph(about, width), "\n".join(lines), *below]))
        else:
            say(markdown(prices, bp, about, pricing).removesuffix("\n"))


def _memory(footprint: Footprint, rule: Part, limit: float | None) -> RuleMemory:
    """The memory of one rule, and the largest batch within a limit."""
    from onchip.cost.memory import most_samples

    need = footprint.need(rule)
    return RuleMemory(
        rule.label, need(footprint.config.batch_size), None if limit is None else most_samples(need, limit)
    )


def _priced(pricing: Pricing, rules: list[str] | None) -> tuple[Price | None, list[Price]]:
    """The price of bp, which transport is compared with, and those of the rules."""
    from onchip.training import registry

    makes = registry.distinct(rules or registry.known("rule"))
    try:
        bp = pricing.price(registry.part("rule", "bp"), "bp")
    except UnsupportedError:
        bp = None
    price = [partial(pricing.price, make, make.label) for make in makes]
    return bp, supported(price, strict=rules is not None)
