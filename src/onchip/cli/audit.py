"""`onchip audit`: what do the updates of a rule depend on, and do its claims hold?"""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from onchip import report
from onchip._text import one_line
from onchip.certificates import Certificate
from onchip.cli.shared.arguments import InputSize, Net
from onchip.cli.shared.completion import names
from onchip.cli.shared.failing import RUN_FAILED, failing, require_range, supported
from onchip.cli.shared.samples import random_batch
from onchip.cli.shared.sizes import Size, size_of
from onchip.cli.shared.terminal import say
from onchip.errors import RequestError
from onchip.runs.grammar import split


def audit(
    rules: Annotated[
        list[str] | None,
        typer.Argument(
            help="Rules, such as bp fbp:period=10.",
            metavar="[RULE]...",
            show_default=False,
            autocompletion=names("rule"),
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Audit every rule; those that cannot train it are left out.")
    ] = False,
    net: Net = "mlp",
    neuron: Annotated[
        str,
        typer.Option(help="Neurons, such as lif:decay=0.9, or lif,ttfs for each.", autocompletion=names("neuron")),
    ] = "lif",
    data_like: InputSize = "digits",
    steps: Annotated[int, typer.Option(help="Time steps T of the input, at least 2.")] = 4,
    batch_size: Annotated[int, typer.Option(help="Samples, at least 2.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of network, input and changes.")] = 0,
    span: Annotated[int, typer.Option(help="Training steps in which reads of weights are searched for.")] = 128,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each certificate.")] = False,
) -> None:
    """Test by intervention what the updates of a rule depend on, and whether its claims hold.

    Training on random data is repeated with one thing replaced: forward weights, over --span steps (weight
    transport), errors of other layers (backward locking, update locking), later time steps (temporal causality), other
    samples, the labels. Exit code 0: all claims hold; 1: a claim is broken; 2: the request was wrong.
    """
    with failing():
        if rules and every:
            raise RequestError(f"got --all and the rules {', '.join(rules)}; expected one of both")
        if not (rules or every):
            raise RequestError("got no rules; name some, as `onchip rules` lists them, or use --all")
        if markdown and as_json:
            raise RequestError("got --markdown and --json; expected one of both")
        require_range(2, steps=steps, batch_size=batch_size)
        require_range(1, span=span)
        require_range(0, seed=seed)
        size = size_of("data-like", data_like)
        certificates = _certificates(rules, net, split(neuron), size, (steps, batch_size), seed, span)
        _show(certificates, markdown=markdown, as_json=as_json)
        if not all(certificate.holds for certificate in certificates):
            raise typer.Exit(RUN_FAILED)


def _certificates(
    rules: list[str] | None, net: str, neurons: list[str], size: Size, sizes: tuple[int, int], seed: int, span: int
) -> list[Certificate]:
    """Audit each rule, or each that can train them if None, on each kind of neurons."""
    from onchip.audit import audit as audited
    from onchip.training import registry
    from onchip.training.networks import example_network

    parts = registry.distinct(rules or registry.known("rule"))
    certificates = []
    for neuron in neurons:
        network = example_network(net, neuron, size.shape, size.classes)
        over = f"{sizes[0]} steps, " if network.kind.over_time else ""
        shape = "x".join(map(str, size.shape))
        about = f"{net} of {network.neuron} neurons, input {shape}, {over}{sizes[1]} samples, seed {seed}"
        signal, labels = random_batch(size.shape, size.classes, sizes, network.kind, seed)
        if network.own is not None:
            network.own.check_output(network.make(), signal, size.classes)
        audit_of = partial(audited, build=network.make, signal=signal, labels=labels, seed=seed, span=span, about=about)
        audits = [partial(audit_of, rule, label=rule.label) for rule in parts]
        certificates += supported(audits, strict=rules is not None)
    return certificates


def _show(certificates: list[Certificate], *, markdown: bool, as_json: bool) -> None:
    """Prints certificates: drawn on a terminal, as Markdown into a pipe or a file."""
    if as_json:
        import json

        for certificate in certificates:
            say(json.dumps(certificate.to_dict(), ensure_ascii=False))
        return
    if markdown or not sys.stdout.isatty():
        say(report.certificates(certificates).removesuffix("\n"))
        return
    console = Console(highlight=False, markup=False)
    for certificate in certificates:
        depends = Table(title=one_line(f"{certificate.rule}: {certificate.about}"), title_justify="left")
        depends.add_column("updates depend on")
        depends.add_column("found")
        for finding in certificate.findings:
            depends.add_row(one_line(finding.subject), one_line(finding.answer))
        console.print(depends)
        if not certificate.results:
            console.print(f"{one_line(certificate.rule)} claims nothing\n")
            continue
        claims = Table(show_lines=True)
        for name in ("claim", "test", "result"):
            claims.add_column(name)
        styles = {"holds": "green", "BROKEN": "bold red"}
        for result in certificate.results:
            text = one_line(result.outcome + (f": {result.reason}" if result.outcome in ("BROKEN", "n/a") else ""))
            claims.add_row(result.statement, "; ".join(result.tests), text, style=styles.get(result.outcome, "dim"))
        console.print(claims)
