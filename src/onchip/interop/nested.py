"""Graphs within graphs, written out as one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onchip.errors import UnsupportedError

MOST_LEVELS = 16
"""Of graphs within graphs."""


@dataclass
class Flat:
    """A graph without graphs in it.

    Args:
        nodes: The nodes by name, of which those of inner graphs have the name of their graph before a dot.
        edges: Pairs of names.
        passed: Inputs and outputs of inner graphs, which only pass a signal on.
    """

    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)


def flat(graph: Any) -> Flat:
    """A `nir.NIRGraph` without graphs in it: edges to an inner graph lead to what its input leads to.

    Raises:
        UnsupportedError: An edge names no node, or an inner graph has several inputs or outputs.
    """
    found = Flat()
    _gather(graph, "", found, 0)
    for name in found.passed:
        senders = [start for start, end in found.edges if end == name]
        takers = [end for start, end in found.edges if start == name]
        kept = [edge for edge in found.edges if name not in edge]
        found.edges = kept + [(start, end) for start in senders for end in takers]
        del found.nodes[name]
    if len(set(found.edges)) != len(found.edges):
        raise UnsupportedError("the graph has two edges between the same nodes; expected one at most")
    return found


def _gather(graph: Any, prefix: str, found: Flat, level: int) -> None:
    if level > MOST_LEVELS:
        raise UnsupportedError(f"the graph has graphs within graphs, more than {MOST_LEVELS} levels of them")
    nodes: Mapping[str, Any] = graph.nodes
    entry, leave = dict[str, str](), dict[str, str]()
    for name, node in nodes.items():
        full = prefix + name
        if type(node).__name__ != "NIRGraph":
            if full in found.nodes:
                raise UnsupportedError(f"two nodes are named {full!r}; expected names of their own")
            found.nodes[full] = node
            if level and type(node).__name__ in ("Input", "Output"):
                found.passed.append(full)
            entry[name] = leave[name] = full
            continue
        _gather(node, f"{full}.", found, level + 1)
        entry[name] = f"{full}.{_only(node, full, 'Input')}"
        leave[name] = f"{full}.{_only(node, full, 'Output')}"
    for edge in graph.edges:
        start, end = edge
        for name in (start, end):
            if name not in nodes:
                raise UnsupportedError(f"an edge leads from {start!r} to {end!r}, and there is no node {name!r}")
        found.edges.append((leave[start], entry[end]))


def _only(graph: Any, name: str, kind: str) -> str:
    found = [inner for inner, node in graph.nodes.items() if type(node).__name__ == kind]
    if len(found) != 1:
        raise UnsupportedError(f"graph {name!r} has {len(found)} nodes of type {kind}; expected one")
    return str(found[0])
