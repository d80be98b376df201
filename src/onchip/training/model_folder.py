"""A trained network as two files that any program can read: `model.json` and `model.safetensors`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import onchip
from onchip._files import write_whole
from onchip._sealed import read_sealed, sealed_bytes
from onchip.errors import DataError, OnchipError, UnsupportedError
from onchip.learning.rule import Rule
from onchip.nn.description import built, described
from onchip.nn.signals import SignalKind
from onchip.runs.code import is_own
from onchip.runs.model_file import (
    FEEDBACK,
    NAME,
    WEIGHTS,
    InputFacts,
    ModelFile,
    NetworkFacts,
    OutputFacts,
    RuleFacts,
)
from onchip.runs.record import Record
from onchip.training import registry
from onchip.training.resolved import Resolved


def keep(folder: Path, resolved: Resolved, model: nn.Module, rule: Rule, record: Record) -> None:
    """Write the network of a run and the rule that trained it.

    Args:
        folder: Where the two files go; it must exist.
        resolved: The configuration of the run.
        model: The trained network.
        rule: The rule, whose feedback is stored.
        record: The record of the run.
    """
    config, data = resolved.config, resolved.data
    facts = InputFacts(
        samples=data.kind.name,  # type: ignore[arg-type]  # one of these names
        shape=data.shape,
        divisor=255 if data.kind.divisor == 255.0 else 1,
        encoder=resolved.encoder_name,
        steps=record.steps,
        frames=data.steps if data.kind.over_time and not data.kind.own_steps else None,
        standardization=data.standardization,
        batch_size=config.batch_size,
        seed=config.seed,
    )
    name, code = record.network, config.net if is_own(config.net) else None
    network = network_facts(model, name, code=code, neuron=config.neuron)
    output = OutputFacts(data.classes, read_of(resolved.kind))
    made_by = rule_facts(resolved.rule, rule, own=not _named(resolved.rule, rule, model))
    write(folder, model, rule, network, made_by, facts, output, record)


def network_facts(model: nn.Module, name: str, *, code: str | None, neuron: str = "lif") -> NetworkFacts:
    """The facts of a network; without its layers if one of them is of the user's own."""
    try:
        layers = described(model)
        built(layers, model.state_dict())
    except OnchipError as error:
        return NetworkFacts(name, None, code, str(error), neuron)
    return NetworkFacts(name, layers, code, None, neuron)


def rule_facts(part: registry.Part, rule: Rule, *, own: bool = False) -> RuleFacts:
    """The facts of a rule: what makes it, the precision of its products, and whether it is one of the user's own."""
    return RuleFacts(part.label, part.name, part.options, "bfloat16" if rule.bfloat16 else "float32", own)


def does(part: registry.Part, rule: Rule, model: nn.Module) -> bool:
    """Whether a rule does what a part makes of a network with the layers of its own."""
    copy = built(described(model), {name: tensor.clone() for name, tensor in model.state_dict().items()})
    with torch.random.fork_rng(devices=[]):
        again: Rule = part(copy)
    return again.describe() == rule.describe()


def _named(part: registry.Part, rule: Rule, model: nn.Module) -> bool:
    """Whether the text of what made a rule names it, with all its options."""
    try:
        named = registry.part("rule", part.label)
        if not part.own:
            return (named.name, named.options) == (part.name, part.options)
        return does(named, rule, model)
    except OnchipError:  # no such rule, or a layer of the user's own
        return False


def read_of(kind: SignalKind) -> Any:
    """How the class is read from the output of neurons that exchange such signals."""
    if not kind.over_time:
        return "once"
    return "last" if kind.last_step else "sum"


def write(
    folder: Path,
    model: nn.Module,
    rule: Rule | None,
    network: NetworkFacts,
    rule_of: RuleFacts | None,
    input_of: InputFacts | None,
    output: OutputFacts,
    record: Record | None = None,
) -> None:
    """Write both files, each of them whole; `model.json`, which has the digest of the other, comes last.

    Raises:
        UnsupportedError: A module's name looks like that of feedback.
        DataError: A fact is of another type, or out of range.
        OSError: A file cannot be written.
    """
    tensors = model.state_dict()
    if strange := [name for name in tensors if name.startswith(FEEDBACK)]:
        raise UnsupportedError(f"the network has a tensor {strange[0]!r}; expected no name that begins with {FEEDBACK}")
    state = {} if rule is None else rule.state_dict()
    content = sealed_bytes({**tensors, **{FEEDBACK + name: value for name, value in state.items()}}, {"format": "pt"})
    file = ModelFile(
        weights_sha256=hashlib.sha256(content).hexdigest(),
        network=network,
        rule=rule_of,
        input=input_of,
        output=output,
        versions={"onchip": onchip.__version__, "torch": torch.__version__},
        record=None if record is None else json.loads(record.to_json()),
    )
    text = file.to_json()
    ModelFile.from_json(text)
    write_whole(folder / WEIGHTS, content)
    write_whole(folder / NAME, text)


def read_tensors(folder: Path, file: ModelFile) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors of the network, and those of the rule, on the CPU.

    Raises:
        DataError: The file is missing or damaged, or not the one that `model.json` was written with.
    """
    path = folder / file.weights
    try:
        tensors, _ = read_sealed(path)
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except (DataError, OSError) as error:
        raise DataError(f"weights {path} cannot be used: {' '.join(str(error).split())}") from error
    if found != file.weights_sha256:
        raise DataError(
            f"weights {path} cannot be used: their SHA-256 is {found:.12}..., and {NAME} was written with others, "
            f"{file.weights_sha256:.12}...; keep the two files of one run together"
        )
    state = {name.removeprefix(FEEDBACK): tensors.pop(name) for name in list(tensors) if name.startswith(FEEDBACK)}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor.float()).all()):
            raise DataError(f"weights {path} cannot be used: {name!r:.80} is not finite")
    return tensors, state


def network_of(path: Path, network: NetworkFacts, tensors: dict[str, Tensor]) -> nn.Module:
    """The network of its layers.

    Raises:
        DataError: The layers are wrong, or the tensors are not theirs.
    """
    assert network.layers is not None, "asked for before"
    try:
        return built(network.layers, {name: tensor.clone() for name, tensor in tensors.items()})
    except OnchipError as error:
        raise DataError(f"{path / NAME} cannot be used: {error}") from error
