"""Networks, rules and data that a program passes as objects, where the command line has names.

A configuration holds a text for each, `python:NAME#DIGEST`, by which a run that is resumed notices another object.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial, singledispatch
from typing import Any

import torch
from torch import Tensor, nn

from onchip.data.dataset import Dataset
from onchip.data.own import class_names, own_split, own_splits
from onchip.data.sample_source import SampleSource
from onchip.data.source import RawSplits
from onchip.data.split import Split
from onchip.errors import RequestError, require
from onchip.learning.rule import Rule
from onchip.runs.code import PYTHON
from onchip.runs.grammar import command_name, describe
from onchip.runs.user_function import UserFunction
from onchip.training import registry
from onchip.training.own_network import OwnNetwork


@singledispatch
def network_given(net: Any) -> tuple[str, OwnNetwork | None]:
    """The text of a network in a configuration, and the network itself if it is an object.

    Args:
        net: A name, as for the command line; a network, to be trained in place; or a function that builds one, as
            `OwnNetwork` describes it.

    Raises:
        RequestError: It is something else.
    """
    if not callable(net):
        raise RequestError(
            f"got a network of type {type(net).__name__}; expected an nn.Module, a function that builds one, or a name"
        )
    function = UserFunction(_name(net), None, net)
    return _text(function.name, [_source(net)]), OwnNetwork(function)


@network_given.register
def _(net: str) -> tuple[str, OwnNetwork | None]:
    return net, None


@network_given.register
def _(net: nn.Module) -> tuple[str, OwnNetwork | None]:
    sizes = [f"{name} {tuple(value.shape)} {value.dtype}" for name, value in net.state_dict().items()]
    name = type(net).__name__
    return _text(name, [repr(net), *sizes]), OwnNetwork(UserFunction(name, None, lambda: net), fresh=False)


@singledispatch
def rule_given(rule: Any) -> tuple[str, registry.Part | None]:
    """The text of a rule in a configuration, and what attaches it if it is an object.

    Args:
        rule: A name with options, as for the command line; a function from a network to a rule, such as
            `onchip.rules.eprop` or a `functools.partial` of it; or a rule that is attached to the network.

    Raises:
        RequestError: It is something else.
    """
    if not callable(rule):
        raise RequestError(
            f"got a rule of type {type(rule).__name__}; expected a name such as 'eprop', a function that attaches one "
            "to a network, or a Rule"
        )
    parameters = inspect.signature(rule).parameters.values()
    options = {each.name: each.default for each in parameters if each.default is not each.empty}
    given = rule.keywords if isinstance(rule, partial) else {}
    name = command_name(_name(rule))
    label = ";".join(f"{key}={describe(value)}" for key, value in given.items())
    label = f"{name}:{label}" if label else name
    ours = registry.known("rule").get(name) is (rule.func if isinstance(rule, partial) else rule)
    return label, registry.Part(name, label, options, partial(_attached, rule), own=not ours)


@rule_given.register
def _(rule: str) -> tuple[str, registry.Part | None]:
    return registry.part("rule", rule).label, None


@rule_given.register
def _(rule: Rule) -> tuple[str, registry.Part | None]:
    def attached(model: nn.Module) -> Rule:
        layers = {id(module) for module in model.modules()}
        if any(id(layer.module) not in layers for layer in rule.layers):
            raise RequestError(f"rule {rule.name!r} is attached to another network; attach it to the one to train")
        return rule.to(next(model.parameters()).device)

    name = command_name(rule.name)
    return name, registry.Part(name, name, {}, attached, own=True)


def data_given(data: Any, classes: int | None) -> tuple[str, RawSplits]:
    """The text of a data set in a configuration, and its splits.

    Args:
        data: As for `onchip.data.own.own_splits`, or a function without parameters that returns it.
        classes: Number of classes; None for that of an `onchip.data.Dataset`, or else the largest label and one more.

    Raises:
        RequestError: As for `own_splits`.
        DataError: As for `own_splits`.
    """
    name = "data"
    if callable(data) and not isinstance(data, Dataset):
        name = _name(data)
        data = UserFunction(name, None, data)()
    elif isinstance(data, Dataset):
        name = data.name
    parts = own_splits(data, name)
    return _named_splits(name, parts, classes)


def splits_given(train: Any, test: Any, validation: Any, classes: int | None) -> tuple[str, RawSplits]:
    """The text of a data set in a configuration, and its splits, from each of them.

    Args:
        train: As for `onchip.data.own.own_split`.
        test: As for `own_split`.
        validation: As for `own_split`; None for none.
        classes: As for `data_given`.

    Raises:
        RequestError: As for `own_split`.
        DataError: As for `own_split`.
    """
    held = None if validation is None else own_split(validation, "validation")
    parts = RawSplits((), own_split(train, "train"), own_split(test, "test"), held)
    return _named_splits("tensors" if isinstance(train, tuple | list) else type(train).__name__, parts, classes)


def _named_splits(name: str, parts: RawSplits, classes: int | None) -> tuple[str, RawSplits]:
    sources = [split for split in (parts.train, parts.validation, parts.test) if split is not None]
    names = parts.classes
    if classes is not None or not names:
        least = 1 + max(int(split.sample_labels.max()) for split in sources)
        require(classes is None or classes >= least, name, "classes", classes, f"at least {least}, as labels say")
        names = class_names(classes or least)
    text = _text(name, [each for split in sources for each in _identity(split)])
    return text, replace(parts, classes=names)


def _attached(attach: Callable[..., Any], model: nn.Module, **options: Any) -> Rule:
    rule = attach(model, **options)
    if not isinstance(rule, Rule):
        raise RequestError(f"rule {_name(attach)} returned {type(rule).__name__}; expected an onchip.learning.Rule")
    return rule


def _name(given: Any) -> str:
    """The name of a function or class, for messages and records."""
    inner = given.func if isinstance(given, partial) else given
    name = str(getattr(inner, "__name__", type(inner).__name__))
    return name.replace("<lambda>", "lambda")


def _source(given: Any) -> str:
    """The text of a function, as far as it is known."""
    inner = given.func if isinstance(given, partial) else given
    try:
        text = inspect.getsource(inner)
    except (OSError, TypeError):
        text = ""
    return f"{text}{given.keywords if isinstance(given, partial) else ''}"


def _identity(split: SampleSource) -> Iterable[str | Tensor]:
    """What tells samples from others: all of them, or their file's seal; of a loader their shape and labels."""
    yield f"{split.kind.name} {split.sample_shape}"
    yield torch.bincount(split.sample_labels)
    if isinstance(split, Split):
        yield split.stored if isinstance(split.stored, Tensor) else split.stored.identity
        yield split.labels
        if split.lengths is not None:
            yield split.lengths


def _text(name: str, parts: Iterable[str | Tensor]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part.cpu().contiguous().numpy().data)
    return f"{PYTHON}{name}#{digest.hexdigest()}"
