"""Every example of docs/extending.md works with nothing but its file and its one export line."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from onchip import rules, transport
from onchip.cli import app
from onchip.runs.record import Record, read
from onchip.transport import Transport
from onchip.transport.base import planned_bits

PAGE = (Path(__file__).parent.parent / "docs" / "extending.md").read_text(encoding="utf-8")


def source(example: str) -> str:
    """The code block of an example."""
    block = re.search(rf"<!-- example: {example} -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert block, example
    return block[1]


def add(monkeypatch: pytest.MonkeyPatch, example: str, package: types.ModuleType, file: str, name: str) -> object:
    """Adds an example as a file of a package, and exports one name from it."""
    module = types.ModuleType(f"{package.__name__}.{file}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(source(example), module.__dict__)
    monkeypatch.setattr(package, name, module.__dict__[name], raising=False)
    monkeypatch.setattr(package, "__all__", [*package.__all__, name])
    return module.__dict__[name]


def compared(folder: Path, words: str) -> list[Record]:
    """The records of a comparison on a few digits."""
    small = "--net mlp --train-size 50 --epochs 1 --seeds 1 --steps 2"
    result = CliRunner().invoke(app, ["compare", *words.split(), *small.split(), "--out", str(folder / "out")])
    assert result.exit_code == 0, result.output
    records = read(folder / "out" / "records.jsonl")
    assert all(record.status == "ok" for record in records)
    return records


def test_a_rule(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    add(monkeypatch, "rule", rules, "ternary", "ternary")
    assert len(source("rule").splitlines()) <= 30
    records = compared(tmp_path, "--rules bp,ternary:threshold=0.5")
    assert [record.label for record in records] == ["bp", "ternary:threshold=0.5"]
    assert "ternary:threshold=0.5" in (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    listed = CliRunner().invoke(app, ["rules", "ternary"])
    assert "threshold" in listed.output
    assert "-1, 0 or 1" in listed.output


def test_a_transport(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    make = add(monkeypatch, "transport", transport, "row", "Row")
    assert isinstance(make, type)
    scheme = make()
    assert isinstance(scheme, Transport)
    weights, feedback = [torch.randn(3, 4), torch.randn(2, 3, 2, 2)], [torch.zeros(3, 4), torch.zeros(2, 3, 2, 2)]
    for event in range(3):
        moved = scheme(feedback, weights, event)
        assert [layer.value_bits + layer.index_bits for layer in moved] == planned_bits(scheme, weights)
    assert all(torch.equal(b, w) for b, w in zip(feedback, weights, strict=True))
    (record,) = compared(tmp_path, "--rules fbp:period=1;transport=row")
    assert record.ledger["weights_transported"] > 0
