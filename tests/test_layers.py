"""Imports point down only: from room to room by one list, and inside a room without a circle."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import onchip

# From the bottom up. A file imports from rooms on lines above its own, or from its own room; rooms on one line do not
# import each other. A folder's name stands for all files in it, unless a longer name has a line of its own.
ROOMS = """
    errors _files _text allocator certificates
    _sealed _types
    surrogate runs cost.energy transport chips
    kernels data
    nn
    encoding losses models report
    learning
    rules devices
    cost
    diagnostics audit mapping
    training
    interop
    cli
    __main__
"""
LEVELS = {room: level for level, line in enumerate(ROOMS.split("\n")) for room in line.split()}
SOURCE = Path(onchip.__file__).parent
FILES = {".".join(path.relative_to(SOURCE).with_suffix("").parts): path for path in sorted(SOURCE.rglob("*.py"))}
MODULES = {name.removesuffix("__init__").rstrip(".") for name in FILES}


def room_of(module: str) -> str:
    """The longest beginning of a module's name that has a place in the list."""
    parts = module.split(".")
    beginnings = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((name for name in beginnings if name in LEVELS), "nowhere")


def imported(path: Path) -> Iterator[str]:
    """Modules of ours that a file imports, wherever in it; what is no module counts as its package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in found:
            if name.split(".")[0] == "onchip":
                inside = name.removeprefix("onchip").lstrip(".")
                yield inside if inside in MODULES else inside.rpartition(".")[0]


@pytest.mark.parametrize("name", [name for name in FILES if name != "__init__"])
def test_imports_point_down(name: str) -> None:
    own = room_of(name)
    assert own in LEVELS, f"{name} has no place in ROOMS"
    for target in filter(None, imported(FILES[name])):
        room = room_of(target)
        assert room in LEVELS, f"{target} has no place in ROOMS"
        assert room == own or LEVELS[room] < LEVELS[own], f"{name} imports {target}, which is not below it"


def test_no_circle() -> None:
    # A package's list of exports imports its own files, which import the package only for what stands there.
    inside = {
        name: {target for target in imported(path) if target in FILES and target != name}
        for name, path in FILES.items()
        if not name.endswith("__init__")
    }
    graphlib.TopologicalSorter(inside).prepare()


def test_every_room_exists_and_there_are_few() -> None:
    assert set(LEVELS) <= MODULES
    assert len(ROOMS.split("\n")) - 2 <= 14
    loose = [name for name in FILES if "." not in name and not name.startswith("__")]
    assert len(loose) <= 10, loose


def test_the_order_can_be_violated() -> None:
    assert room_of("cost.energy.cmos") == "cost.energy"
    assert LEVELS["nn"] < LEVELS["learning"]
    assert set(imported(SOURCE / "rules" / "bp.py")) >= {"learning.rule", "learning.temporal.through_time"}
