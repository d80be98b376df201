"""Docstrings: examples run, every export has one, and every rule states its limit, its cost and its source."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
from types import ModuleType
from typing import Any

import pytest
import torch

import onchip
from onchip import devices, rules, transport
from onchip.nn import neurons

NAMES = ["onchip", *sorted(info.name for info in pkgutil.walk_packages(onchip.__path__, "onchip."))]
MODULES = [name for name in NAMES if not name.endswith(".__main__")]


def exports() -> list[tuple[str, str]]:
    found = []
    for name in MODULES:
        module = importlib.import_module(name)
        own = [export for export, thing in vars(module).items() if getattr(thing, "__module__", None) == name]
        found += [(name, export) for export in getattr(module, "__all__", own) if not export.startswith("_")]
    return found


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    torch.manual_seed(0)
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    examples = [test.name for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(examples) >= 8


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is(name: str) -> None:
    assert _documented(importlib.import_module(name))


@pytest.mark.parametrize(("module", "export"), exports())
def test_every_export_exists_and_says_what_it_is(module: str, export: str) -> None:
    thing = getattr(importlib.import_module(module), export)
    if inspect.isclass(thing) or inspect.isroutine(thing) or isinstance(thing, ModuleType):
        assert _documented(thing), f"{module}.{export} has no docstring"
    if not inspect.isclass(thing) or not thing.__module__.startswith("onchip"):
        return
    for name, member in vars(thing).items():
        if not name.startswith("_") and inspect.isfunction(member):
            assert _documented(getattr(thing, name)), f"{module}.{export}.{name} has no docstring"


@pytest.mark.parametrize("name", rules.__all__)
def test_every_rule_states_limit_cost_and_reference(name: str) -> None:
    text = inspect.getdoc(getattr(rules, name))
    assert text is not None
    for heading in ("Limit:", "Cost:", "Reference:", "Args:"):
        assert re.search(rf"^ *{heading} *\S?", text, re.MULTILINE), f"{name} says nothing of its {heading}"
    assert re.search(r"Reference: .*\d{4}", text), f"{name} dates no source"


@pytest.mark.parametrize(
    "thing",
    [getattr(module, name) for module in (rules, neurons, transport, devices) for name in module.__all__],
    ids=lambda thing: thing.__name__,
)
def test_every_option_is_explained(thing: Any) -> None:
    text = inspect.getdoc(thing) or ""
    for name in inspect.signature(thing).parameters:
        assert re.search(rf"^ +{name}: ", text, re.MULTILINE), f"{thing.__name__} does not explain {name}"


def _documented(thing: Any) -> bool:
    """Whether it or what it overrides has a docstring that is a sentence."""
    text = inspect.getdoc(thing) or ""
    return text.split("\n\n")[0].rstrip().endswith((".", ":", "?"))
