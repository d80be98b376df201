"""Imports point down only, and siblings in a folder do not import each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import onchip

# From the bottom up; a module imports from lines above its own only. A folder's name stands for all of its
# files that have no line of their own. A new module at the top of the package gets a place here.
LEVELS = """
    errors files claims typed allocator
    standardised trainers memory silence
    kernels.native kernels.buffers kernels.running kernels.fused.surrogates
    kernels.fused.errors
    kernels.fused
    kernels.gpu
    kernels.sparse
    noise signals surrogate synapse pooling options settings records checkpoint rates centring certificate
        kernels.phase transport.base data.base hardware.base
    kernels
    kernels.held transport hardware.cmos hardware.loihi neurons.base meeting standin front costs data.files
    trains rounded
    encode losses summary devices.cell devices.pulses
    report.drawing report.groups report.inline
    report.pareto report.curves report.table report.gather
    report.figures
    report.page
    neurons report data.sources hardware
    residual chain
    devices.resistive
    plan data
    nn credit factors
    parts.grid
    parts.direct island models
    parts.local parts.probed
    parts
    rule
    rules gradients devices.crossbar observe.bill observe.phases
    observe devices
    observe.probes observe.trial pricing
    observe.bench
    observe.exchanged
    observe.findings
    observe.audit
    registry
    run
    train
    jobs folder
    compare cli.base
    cli
    __main__
"""
SOURCE = Path(onchip.__file__).parent
FILES = {".".join(path.relative_to(SOURCE).with_suffix("").parts): path for path in sorted(SOURCE.rglob("*.py"))}
NAMES = {name.removesuffix("__init__").rstrip(".") for name in FILES}


def table() -> dict[str, int]:
    """Level of each name in LEVELS; deeper indentation goes on with the line above."""
    levels: dict[str, int] = {}
    level = 0
    for line in LEVELS.strip("\n").splitlines():
        level += not line.startswith(" " * 8)
        levels |= dict.fromkeys(line.split(), level)
    return levels


def level_of(name: str) -> int | None:
    """Level of the longest beginning of a module's name that has one."""
    parts, levels = name.split("."), table()
    beginnings = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((levels[beginning] for beginning in beginnings if beginning in levels), None)


def imported(path: Path) -> Iterator[str]:
    """Modules of ours that a file imports, wherever in it; what is no module counts as its package."""
    for node in ast.walk(ast.parse(path.read_text())):
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
                yield inside if inside in NAMES else inside.rpartition(".")[0]


@pytest.mark.parametrize("name", [name for name in FILES if name != "__init__"])
def test_imports_point_down(name: str) -> None:
    own = level_of(name.removesuffix(".__init__"))
    assert own is not None, f"{name} has no place in LEVELS"
    for target in imported(FILES[name]):
        folder = name.removesuffix("__init__")
        if not target or (name.endswith(".__init__") and target.startswith(folder)):
            continue  # the package itself, for its version, or a folder's own files in its list of exports
        level = level_of(target)
        assert level is not None, f"{target} has no place in LEVELS"
        assert level < own, f"{name} imports {target}, which is not below it"


def test_no_place_is_empty() -> None:
    assert set(table()) <= NAMES


def test_the_levels_can_be_violated() -> None:
    assert level_of("rules.bp") == level_of("rules.dfa"), "siblings are on one level"
    assert (level_of("neurons.lif") or 0) > (level_of("neurons.base") or 0)
    assert set(imported(SOURCE / "rules" / "bp.py")) == {"claims", "parts", "rule"}
