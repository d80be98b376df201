"""`onchip.save`: a network that a program has built, and its rule, as the files that `onchip.load` reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from onchip.errors import DataError, RequestError
from onchip.learning.rule import Rule
from onchip.nn.description import described
from onchip.nn.graph_builder import build_graph
from onchip.runs.model_file import InputFacts, OutputFacts
from onchip.training import model_folder, registry


def save(
    path: str | os.PathLike[str],
    model: torch.nn.Module,
    rule: Rule | None = None,
    *,
    made: str | None = None,
    input: InputFacts | None = None,
    classes: Sequence[str] | None = None,
) -> None:
    """Writes `model.json` and `model.safetensors` for a network, which `onchip.load` turns back into network and rule.

    `onchip.fit(out=...)` and `onchip train` write them by themselves.

    Args:
        path: The folder; made if it is missing. Earlier files of these names are replaced.
        model: A network of layers of `onchip.nn`.
        rule: The rule that is attached to it, whose feedback is stored; None for none.
        made: The rule's name with the options that it was made with, such as "fbp:period=100"; None for its name alone.
        input: How samples become the network's input, which `predict` needs; None where that is not to be said.
        classes: Names of the classes; None for numbers.

    Raises:
        UnsupportedError: A layer is none that a file can describe, which the message names.
        RequestError: The rule trains another network, or was made in another way than `made` says; or classes or input
            do not fit.

    Example:
        >>> import onchip, tempfile
        >>> from onchip import nn, rules
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.LIF(), nn.Linear(8, 3))
        >>> folder = tempfile.mkdtemp()
        >>> onchip.save(folder, model, rules.dfa(model), classes=["red", "green", "blue"])
        >>> onchip.load(folder).rule.name, onchip.load(folder).classes
        ('dfa', ('red', 'green', 'blue'))
    """
    graph, folder = build_graph(model), Path(path)
    layers = described(model)
    outputs = graph.layers[-1].weight.shape[0]
    names = tuple(map(str, range(outputs)) if classes is None else classes)
    if len(names) != outputs:
        raise RequestError(
            f"save got {len(names)} classes for a network of {outputs} outputs; expected one name for each"
        )
    facts = None
    if rule is not None:
        part = registry.part("rule", rule.name if made is None else made)
        _check(rule, part, model)
        facts = model_folder.rule_facts(part, rule)
    elif made is not None:
        raise RequestError(f"save got made={made!r} without a rule; pass the rule, too")
    network = model_folder.network_facts(model, type(model).__name__, code=None)
    assert network.layers == layers
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"{folder} is a file; expected a folder")
    folder.mkdir(parents=True, exist_ok=True)
    output = OutputFacts(names, model_folder.read_of(graph.kind))
    try:
        model_folder.write(folder, model, rule, network, facts, input, output)
    except DataError as error:
        raise RequestError(f"save got input={input!r:.200}; {error}") from error


def _check(rule: Rule, part: registry.Part, model: torch.nn.Module) -> None:
    """Raises RequestError unless a rule is attached to a network, and does what the one that a text names does."""
    own = {id(parameter) for parameter in model.parameters()}
    if not own <= {id(parameter) for parameter in rule.parameters()}:
        raise RequestError(
            f"save got a rule {rule.name!r} that trains another network; expected the one of this network"
        )
    if not model_folder.does(part, rule, model):
        raise RequestError(
            f"save got a rule {rule.name!r} that does something else than {part.label!r}; say how it was made, such as "
            "made='fbp:period=100'"
        )
