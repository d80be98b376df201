"""The report, and what the command line needs before it runs anything, load no torch."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import onchip

SOURCE = Path(onchip.__file__).parent
ROOTS = ("onchip.cli", "onchip.report", "onchip.chips")


def files_of(module: str) -> list[Path]:
    path = SOURCE.joinpath(*module.split(".")[1:])
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def loaded_at_once(file: Path) -> Iterator[str]:
    """Modules that a file imports at its top level, those for the type checker apart."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            below = [f"{node.module}.{name.name}" for name in node.names]
            yield from (
                (name for name in below if files_of(name)[0].exists())
                if node.module == "onchip"
                else [str(node.module)]
            )


def test_report_and_command_line_load_no_torch() -> None:
    waiting, met = list(ROOTS), set[str]()
    while waiting:
        module = waiting.pop()
        if module in met:
            continue
        met.add(module)
        assert module.partition(".")[0] not in {"torch", "torchvision", "matplotlib"}, module
        if module.startswith("onchip."):
            for file in files_of(module):
                waiting += loaded_at_once(file)
    assert {"onchip.runs.record", "onchip.runs.config", "typer"} <= met
