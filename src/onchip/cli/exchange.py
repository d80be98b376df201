"""`onchip export` and `onchip import`: networks to and from the files of other tools."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onchip.cli.shared.completion import names
from onchip.cli.shared.failing import failing
from onchip.cli.shared.table import paragraph, terminal_width
from onchip.cli.shared.terminal import say
from onchip.errors import RequestError, unknown_name
from onchip.runs.directory import slug

if TYPE_CHECKING:
    from torch import nn

    from onchip.certificates import Certificate
    from onchip.interop import Imported, Learning, Verdict
    from onchip.nn import Sequential
    from onchip.nn.neurons.spiking import Reset

FORMATS = ("nir", "pt2")
RESETS = ("hard", "soft")
AUDIT_STEPS, AUDIT_SAMPLES = 4, 3
READERS = ("nir", "norse", "sinabs", "snntorch", "spikingjelly")

Reader = Annotated[
    str | None,
    typer.Option(
        help="Program whose conventions the file follows: " + ", ".join(READERS) + ".",
        show_default="nir, or what the file says",
        autocompletion=names("reader", READERS),
    ),
]


def export(
    run: Annotated[Path, typer.Argument(help="Folder that train wrote, or compare with --keep-weights.")],
    to: Annotated[
        str, typer.Option(help="Format: nir, or pt2, a program of torch.", autocompletion=names("to", FORMATS))
    ] = "nir",
    reader: Reader = None,
    rule: Annotated[str | None, typer.Option(help="Rule of the run, if the folder holds several.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the run, if the folder holds several.")] = None,
    out: Annotated[Path | None, typer.Option(help="The file. If left out, one in the folder of the run.")] = None,
    no_learning: Annotated[
        bool, typer.Option("--no-learning", help="Leave out the rule that trained the network.")
    ] = False,
    audit: Annotated[
        bool, typer.Option("--audit", help="Audit the rule on this network, and store the certificate beside it.")
    ] = False,
    approximate: Annotated[
        bool, typer.Option("--approximate", help="Also write what the reader runs in another way.")
    ] = False,
    net: Annotated[
        str | None, typer.Option(help="What built the network if that was code of yours: my_net.py:build.")
    ] = None,
    shape: Annotated[
        str | None, typer.Option(help="Shape of the input, such as 1x28x28, if the folder does not say it.")
    ] = None,
) -> None:
    """Write a trained network, and the rule that trained it, to a file that other tools read.

    nir: the network, with a verdict on each of its layers for the program that reads it. pt2: inference as a graph of
    torch's operations, which needs no onchip; see docs/leaving.md.

    faithful: the reader runs the same equations, equal but for rounding; approximate: others, written only with
    --approximate; unsupported: refused. docs/nir.md says what each reader makes of each layer, and
    docs/learning-group.md how the rule is stored, which other readers do not open.
    """
    with failing():
        if to not in FORMATS:
            raise unknown_name("format", to, FORMATS)
        if to == "pt2":
            nir_only = {"reader": reader, "rule": rule, "seed": seed, "shape": shape}
            _write_program(
                run, net, out, {**nir_only, "no-learning": no_learning, "approximate": approximate, "audit": audit}
            )
            return
        if audit and no_learning:
            raise RequestError("got --audit and --no-learning; a certificate is stored with the rule, so expected one")
        from onchip import interop

        model, learning, found, label = _trained(run, rule, seed, net, bare=no_learning)
        sizes = found if shape is None else _sizes(shape)
        if sizes is None:
            raise RequestError(f"{run} does not say the shape of its input; expected --shape, such as 1x28x28")
        name = reader or "nir"
        verdicts = interop.verdicts(model, sizes, reader=name)
        _show(verdicts)
        path = out or run / f"{label}-{name}.nir"
        if path.is_dir() or not path.parent.is_dir():
            raise RequestError(f"{path} cannot be the file; expected a name in a folder that exists")
        if audit and learning is not None:
            learning = replace(learning, certificate=_certificate(model, learning.text, sizes))
        interop.export(path, model, sizes, reader=name, approximate=approximate, learning=learning)
        trained = "" if learning is None else f", with the rule {learning.text}"
        say(f"written to {path}, for {name} {interop.READERS[name].version}{trained}", error=True)


def _write_program(run: Path, net: str | None, out: Path | None, others: Mapping[str, object]) -> None:
    """Writes inference as a program of torch.

    Args:
        run: The folder of the model.
        net: What built the network; None for what the folder says.
        out: The file; None for one in that folder.
        others: Options that mean nothing here.
    """
    given = [name for name, value in others.items() if value not in (None, False)]
    if given:
        raise RequestError(f"got --{given[0]}, which --to pt2 does not take; leave it out")
    from onchip.interop.program import export_program
    from onchip.training.trained import load

    path = out or run / "model.pt2"
    if path.is_dir() or not path.parent.is_dir():
        raise RequestError(f"{path} cannot be the file; expected a name in a folder that exists")
    found = export_program(path, load(run, net=net))
    say(
        f"faithful: on {found.samples} seeded samples it computes what the network computes, to {found.error:.0e} of "
        f"the largest output in float64; {found.equal} of {found.samples} are equal in float32 but for rounding"
    )
    say(f"written to {path}; torch.export.load reads it", error=True)


def import_(
    file: Annotated[Path, typer.Argument(help="NIR file.")],
    reader: Reader = None,
    dt: Annotated[
        float | None,
        typer.Option(help="Time step in seconds.", show_default="what the file says, or that of the reader"),
    ] = None,
    reset: Annotated[
        str | None,
        typer.Option(help="Reset of its neurons, hard or soft, which NIR cannot say.", show_default="the reader's"),
    ] = None,
    shape: Annotated[
        str | None, typer.Option(help="Shape of the input, such as 1x28x28, if the file says another one.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for model.json and model.safetensors, which onchip.load reads."),
    ] = None,
) -> None:
    """Read a network from a file of another tool, and show what became of each of its nodes."""
    with failing():
        from onchip import interop

        if reset not in (None, *RESETS):
            raise unknown_name("reset", str(reset), RESETS)
        sizes = None if shape is None else _sizes(shape)
        kind: Reset | None = "soft" if reset == "soft" else "hard" if reset == "hard" else None
        imported = interop.read(file, reader=reader, dt=dt, shape=sizes, reset=kind)
        _show(imported.verdicts)
        if imported.document is not None:
            say(f"trained by {imported.document.rule}, which comes along", error=True)
        if out is None:
            say("--out DIR stores it; in Python: onchip.interop.load(file), and read(file) with the rule", error=True)
            return
        _store(imported, file, out)
        say(f"written to {out}", error=True)


def _trained(
    run: Path, rule: str | None, seed: int | None, net: str | None, *, bare: bool
) -> tuple[nn.Module, Learning | None, tuple[int, ...] | None, str]:
    """The network of a run, or of a stored model, and its rule; the shape of its input; and a name for the file.

    Args:
        run: The folder.
        rule: The rule of the run; None for any.
        seed: The seed; None for any.
        net: What built the network; None for what the folder says.
        bare: Whether the rule is left out.
    """
    from onchip.interop import Learning
    from onchip.runs.model_file import NAME
    from onchip.training.saved import load_run
    from onchip.training.trained import load

    if not (run / "run.json").exists() and (run / NAME).exists():
        if rule is not None or seed is not None:
            raise RequestError(f"{run} holds one model; expected no --rule and no --seed")
        saved = load(run, net=net)
        shape = None if saved.input is None else saved.input.shape
        if bare or saved.file.rule is None:
            return saved.model, None, shape, "model"
        learning = Learning(saved.rule, saved.file.rule.text)
        return learning.rule.network, learning, shape, "model"
    runs = load_run(run, net=net)
    record = runs.record(rule, seed)
    name = slug(f"{record.label}-{record.seed}")
    if bare:
        return runs.model(rule, seed), None, record.shape, name
    learning = Learning(runs.rule(rule, seed), record.label)
    return learning.rule.network, learning, record.shape, name


def _certificate(model: nn.Module, rule: str, shape: tuple[int, ...]) -> Certificate:
    """The audit of a rule on copies of a network, with random input of this shape."""
    from onchip.audit import audit
    from onchip.cli.shared.samples import random_batch
    from onchip.nn.description import built, described
    from onchip.nn.graph_builder import build_graph
    from onchip.training import registry

    layers, graph, part = described(model), build_graph(model), registry.part("rule", rule)

    def build() -> Sequential:
        return built(layers, {name: tensor.clone() for name, tensor in model.state_dict().items()})

    signal, labels = random_batch(shape, len(graph.layers[-1].weight), (AUDIT_STEPS, AUDIT_SAMPLES), graph.kind, 0)
    sizes = f"input {'x'.join(map(str, shape))}, {AUDIT_STEPS} steps, {AUDIT_SAMPLES} samples, seed 0"
    return audit(part, build, signal, labels, label=part.label, about=f"the exported network, {sizes}")


def _store(imported: Imported, file: Path, out: Path) -> None:
    """Writes a network, and its rule if that came along, as training leaves them."""
    from onchip.nn.graph_builder import build_graph
    from onchip.runs.model_file import OutputFacts
    from onchip.training import model_folder, registry

    if out.exists() and not out.is_dir():
        raise RequestError(f"{out} is a file; choose another --out")
    restored = None if imported.document is None else imported.restored()
    model, rule, made_by = imported.model, None, None
    if restored is not None:
        model, rule = restored.model, restored.rule
        made_by = model_folder.rule_facts(registry.part("rule", restored.document.rule), rule)
    output = OutputFacts(tuple(map(str, range(imported.classes))), model_folder.read_of(build_graph(model).kind))
    out.mkdir(parents=True, exist_ok=True)
    network = model_folder.network_facts(model, file.name, code=None)
    model_folder.write(out, model, rule, network, made_by, None, output)


def _sizes(text: str) -> tuple[int, ...]:
    """A shape such as 1x28x28."""
    if not re.fullmatch(r"[1-9]\d{0,8}(x[1-9]\d{0,8})*", text):
        raise RequestError(f"shape got {text!r}; expected positive numbers, such as 1x28x28")
    return tuple(map(int, text.split("x")))


def _show(verdicts: Sequence[Verdict]) -> None:
    """Prints verdicts: as Markdown into a pipe or a file, in columns on a terminal, with reasons below."""
    from onchip.interop import markdown
    from onchip.interop.verdict import HEADER

    if not sys.stdout.isatty():
        say(markdown(verdicts))
        return
    rows = [HEADER[:3], *(verdict.cells()[:3] for verdict in verdicts)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row, verdict in zip(rows, [None, *verdicts], strict=True):
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if verdict is not None and verdict.reason:
            lines = paragraph(verdict.reason, max(20, terminal_width() - 4)).split("\n")
            say("\n".join(f"    {line}" for line in lines))
