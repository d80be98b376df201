"""The reference: pages of what users import, each name once, whose text mkdocstrings takes from the docstrings."""

from __future__ import annotations

import inspect
from importlib import import_module
from types import ModuleType

PACKAGES = {
    "onchip": "What most programs need",
    "onchip.nn": "Networks",
    "onchip.rules": "Rules",
    "onchip.transport": "Transport",
    "onchip.losses": "Losses",
    "onchip.encoding": "Encoders",
    "onchip.surrogate": "Surrogate derivatives",
    "onchip.data": "Data",
    "onchip.models": "Models",
    "onchip.devices": "Memory devices",
    "onchip.learning": "Parts of rules",
    "onchip.nn.synapses": "Synapses",
    "onchip.audit": "Audit",
    "onchip.cost.energy": "Energy tables",
    "onchip.diagnostics": "Diagnostics",
    "onchip.chips": "Chips",
    "onchip.mapping": "Rules on chips",
    "onchip.interop": "Other tools",
    "onchip.report": "Tables and figures",
    "onchip.training.clusters": "Clusters",
    "onchip.errors": "Errors",
}
"""Public packages in the order of the reference; a name that two of them export belongs to the first."""

INTRODUCTION = """# Reference

What you import, by package. Every page is made from the docstrings; each name stands on one page only. Rules have
[pages of their own](../rules/index.md). The options of the command line are explained by `onchip COMMAND --help`.
"""


def reference() -> dict[str, str | bytes]:
    """The pages of the reference by their path in the site."""
    pages: dict[str, str | bytes] = {}
    rows = ["| package | content | names |", "| --- | --- | --- |"]
    for package, (own, elsewhere) in placed().items():
        pages[f"reference/{package}.md"] = _page(package, own, elsewhere)
        rows.append(f"| [`{package}`]({package}.md) | {PACKAGES[package]} | {', '.join(f'`{name}`' for name in own)} |")
    pages["reference/index.md"] = INTRODUCTION + "\n" + "\n".join(rows) + "\n"
    listed = "\n".join(f"  - {title}: {package}.md" for package, title in PACKAGES.items())
    pages["reference/.nav.yml"] = f"nav:\n  - index.md\n{listed}\n"
    return pages


def placed() -> dict[str, tuple[list[str], dict[str, str]]]:
    """For each package the names that it documents, and where its other names are documented."""
    homes: dict[int, str] = {}
    found = {}
    for package in PACKAGES:
        own, elsewhere = [], {}
        for name in import_module(package).__all__:
            thing = getattr(import_module(package), name)
            if isinstance(thing, ModuleType):
                elsewhere[name] = f"[`{thing.__name__}`]({thing.__name__}.md)"
            elif not getattr(thing, "__module__", "onchip").startswith("onchip"):
                elsewhere[name] = f"`{thing.__module__.partition('.')[0]}`"
            elif _named(thing) and id(thing) in homes:
                elsewhere[name] = f"[`{homes[id(thing)]}`][{thing.__module__}.{thing.__qualname__}]"
            else:
                own.append(name)
                homes[id(thing)] = f"{package}.{name}"
        found[package] = (own, elsewhere)
    return found


def _named(thing: object) -> bool:
    """Whether it is defined somewhere by a name, unlike a constant, of which several may be one object."""
    return inspect.isclass(thing) or inspect.isroutine(thing)


def _page(package: str, own: list[str], elsewhere: dict[str, str]) -> str:
    about = inspect.getdoc(import_module(package)) or ""
    blocks = [f"# `{package}`", about]
    if package == "onchip.rules":
        linked = ", ".join(f"[`{name}`](../rules/{name}.md)" for name in own)
        return "\n\n".join([*blocks, f"Each rule has a page in the gallery: {linked}."]) + "\n"
    if elsewhere:
        others = "; ".join(f"`{name}`: {where}" for name, where in elsewhere.items())
        blocks.append(f"Exported here, too: {others}.")
    return "\n\n".join([*blocks, *(_entry(package, name) for name in own)]) + "\n"


def _entry(package: str, name: str) -> str:
    """What mkdocstrings makes the text of, by where it is defined: modules may have the name of what they define."""
    thing = getattr(import_module(package), name)
    if not _named(thing):
        return f"::: {package}.{name}"
    return f"::: {thing.__module__}.{thing.__qualname__}\n    options:\n      heading: {package}.{name}"
