"""`onchip audit`: what do the updates of a rule depend on, and do its claims hold?"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from onchip import report
from onchip.certificates import Certificate
from onchip.cli.shared.failing import RUN_FAILED, failing
from onchip.cli.shared.sizes import CLASSES, Shape, size_of
from onchip.errors import RequestError, UnsupportedError
from onchip.runs.grammar import split

if TYPE_CHECKING:
    import torch

    from onchip.nn.signals import SignalKind

__all__ = ["audit"]


def audit(
    rules: Annotated[
        list[str] | None,
        typer.Argument(help="Rules, such as bp fbp:period=10.", metavar="[RULE]...", show_default=False),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Audit every rule; those that cannot train it are left out.")
    ] = False,
    net: Annotated[str, typer.Option(help="Network.")] = "mlp",
    neuron: Annotated[str, typer.Option(help="Neurons, such as lif:decay=0.9, or lif,ttfs for each.")] = "lif",
    data_like: Annotated[str, typer.Option(help="Size of the input: a data set's name, or CxHxW.")] = "digits",
    steps: Annotated[int, typer.Option(help="Time steps T of the input, at least 2.")] = 4,
    batch_size: Annotated[int, typer.Option(help="Samples, at least 2.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of network, input and changes.")] = 0,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each certificate.")] = False,
) -> None:
    """Test by intervention what the updates of a rule depend on, and whether its claims hold.

    One training step on random data is repeated with one thing replaced: forward weights (weight transport), errors
    of other layers (backward locking, update locking), later time steps (temporal causality), other samples, the
    labels. Exit code 0: all claims hold; 1: a claim is broken; 2: the request was wrong.
    """
    with failing():
        if bool(rules) == every:
            raise RequestError("name the rules to audit, or say --all; `onchip rules` lists them")
        if markdown and as_json:
            raise RequestError("got --markdown and --json; expected one of them")
        for name, value, least in (("steps", steps, 2), ("batch-size", batch_size, 2), ("seed", seed, 0)):
            if not least <= value < 2**31:
                raise RequestError(f"{name} got {value}; expected at least {least}")
        found = _certificates(rules, net, split(neuron), size_of("data-like", data_like)[0], (steps, batch_size), seed)
        _show(found, markdown=markdown, as_json=as_json)
        if not all(certificate.holds for certificate in found):
            raise typer.Exit(RUN_FAILED)


def _certificates(
    rules: list[str] | None, net: str, neurons: list[str], shape: Shape, sizes: tuple[int, int], seed: int
) -> list[Certificate]:
    """Audits each rule, or each that can train them if None, on each kind of neurons."""
    from onchip.audit import audit as audited
    from onchip.training import registry

    asked = [registry.part("rule", rule) for rule in rules or registry.known("rule")]
    build = registry.network(net)
    found = []
    for neuron in neurons:
        make_neuron, kind = registry.neuron(neuron)
        size = "x".join(map(str, shape))
        over = f"{sizes[0]} steps, " if kind.over_time else ""
        about = f"{net} of {neuron} neurons, input {size}, {over}{sizes[1]} samples, seed {seed}"
        signal, labels = _data(shape, sizes, kind, seed)
        for rule in asked:
            try:
                found.append(
                    audited(
                        rule,
                        functools.partial(build, shape, CLASSES, neuron=make_neuron),
                        signal,
                        labels,
                        seed=seed,
                        label=rule.label,
                        about=about,
                    )
                )
            except UnsupportedError as error:
                if rules is not None:
                    raise
                typer.echo(f"left out: {error}", err=True)
    return found


def _data(shape: Shape, sizes: tuple[int, int], kind: SignalKind, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random input and labels: another current or spike at each step, or spike times of which some never come."""
    import torch

    steps, batch = sizes
    generator = torch.Generator().manual_seed(seed)
    leading = (steps, batch) if kind.over_time else (batch,)
    signal = kind.random(torch.Size((*leading, *shape)), generator)
    return signal, torch.randint(CLASSES, (batch,), generator=generator)


def _show(found: list[Certificate], *, markdown: bool, as_json: bool) -> None:
    """Prints certificates: drawn on a terminal, as Markdown into a pipe or a file."""
    if as_json:
        import json

        for certificate in found:
            typer.echo(json.dumps(certificate.to_dict(), ensure_ascii=False))
        return
    if markdown or not sys.stdout.isatty():
        typer.echo(report.certificates(found), nl=False)
        return
    console = Console(highlight=False, markup=False)
    for certificate in found:
        depends = Table(title=f"{certificate.rule}: {certificate.about}", title_justify="left")
        depends.add_column("updates depend on")
        depends.add_column("found")
        for finding in certificate.findings:
            depends.add_row(finding.subject, finding.answer)
        console.print(depends)
        if not certificate.results:
            console.print(f"{certificate.rule} claims nothing\n")
            continue
        claims = Table(show_lines=True)
        for name in ("claim", "test", "result"):
            claims.add_column(name)
        styles = {"holds": "green", "BROKEN": "bold red"}
        for result in certificate.results:
            text = result.outcome + (f": {result.reason}" if result.outcome in ("BROKEN", "n/a") else "")
            claims.add_row(result.statement, "; ".join(result.tests), text, style=styles.get(result.outcome, "dim"))
        console.print(claims)
