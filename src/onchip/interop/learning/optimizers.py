"""Optimizers as data: name, options and state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from onchip.errors import DataError, UnsupportedError
from onchip.interop.learning.document import OptimizerFacts
from onchip.learning.rule import Rule

KINDS = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)
KNOWN: dict[str, Callable[..., torch.optim.Optimizer]] = {kind.__name__: kind for kind in KINDS}
PREFIX = "optimizer/"


def facts(optimizer: torch.optim.Optimizer, rule: Rule) -> tuple[OptimizerFacts, dict[str, Tensor]]:
    """An optimizer of all parameters of a rule, and its state by the position of the parameter and its name.

    Raises:
        UnsupportedError: It is of another kind, has several groups of parameters, or trains other ones.
    """
    name = type(optimizer).__name__
    if type(optimizer) not in KINDS:
        raise UnsupportedError(f"a file cannot hold the optimizer {name}; expected {', '.join(KNOWN)}, or none")
    if len(optimizer.param_groups) != 1:
        raise UnsupportedError(f"{name} has {len(optimizer.param_groups)} groups of parameters; expected one")
    (group,) = optimizer.param_groups
    trained, known = [id(each) for each in group["params"]], [id(each) for each in rule.parameters()]
    if trained != known:
        raise UnsupportedError(
            f"{name} trains other parameters than rule.parameters(); expected {name}(rule.parameters())"
        )
    state = optimizer.state_dict()
    options = {key: value for key, value in state["param_groups"][0].items() if key != "params"}
    tensors = {
        f"{PREFIX}{position}/{key}": torch.as_tensor(value)
        for position, values in state["state"].items()
        for key, value in values.items()
        if value is not None
    }
    return OptimizerFacts(name, options, bool(tensors)), tensors


def made(known: OptimizerFacts, tensors: dict[str, Tensor], rule: Rule) -> torch.optim.Optimizer:
    """The optimizer with its state, attached to the parameters of a rule.

    Raises:
        DataError: There is no such optimizer, or its options or its state do not fit.
    """
    if known.name not in KNOWN:
        raise DataError(f"the group learning names the optimizer {known.name!r:.40}; expected {', '.join(KNOWN)}")
    try:
        options = {key: tuple(value) if isinstance(value, list) else value for key, value in known.options.items()}
        optimizer = KNOWN[known.name](rule.parameters(), lr=options["lr"])
        state: dict[int, dict[str, Any]] = {}
        for name, tensor in tensors.items():
            if name.startswith(PREFIX):
                position, key = name.removeprefix(PREFIX).split("/")
                state.setdefault(int(position), {})[key] = tensor.clone()
        places = list(range(len(optimizer.param_groups[0]["params"])))
        optimizer.load_state_dict({"state": state, "param_groups": [{**options, "params": places}]})
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"the optimizer of the group learning does not fit: {error!s:.200}") from error
    return optimizer
