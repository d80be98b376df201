"""What a record of somebody else holds reaches no terminal as a control character."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

import onchip.cli
from onchip.cli.shared import output, progress
from onchip.runs.record import Record
from tests.examples import record

from .conftest import Onchip

HOSTILE = "bp\x1b[2J\x9b31m\r\n\x07\u202e\x00end"
UNSEEN = {*map(chr, [*range(10), *range(11, 32), *range(0x7F, 0xA0), 0x202E])}
PRINTERS = {"echo", "secho", "print", "write"}


def hostile_records() -> list[Record]:
    named: dict[str, Any] = {"network": HOSTILE, "neuron": HOSTILE, "encoder": HOSTILE, "data": HOSTILE}
    return [record(HOSTILE, **named), record(HOSTILE, seed=1, accuracy=None, **named)]


def test_only_one_module_prints() -> None:
    folder = Path(onchip.cli.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        calls = {n.func for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)}
        direct = {f.id for f in calls if isinstance(f, ast.Name)} & PRINTERS
        typer = {f.attr for f in calls if isinstance(f, ast.Attribute) and ast.unparse(f.value) in ("typer", "click")}
        assert path.name == "terminal.py" or not (direct | (typer & PRINTERS)), path


def test_a_report_names_what_it_leaves_out(onchip: Onchip) -> None:
    Path("records.jsonl").write_text(f"{record().to_json()}\n{HOSTILE}\n", encoding="utf-8")
    result = onchip("report", "records.jsonl")
    assert "left out" in result.err
    assert not {*result.err} & UNSEEN


@pytest.mark.parametrize("terminal", [False, True])
def test_the_table_and_the_lines_of_progress(
    terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)
    output.show_table(hostile_records(), to_error=False)
    watch = progress.Bars(None, 2)
    for one in hostile_records():
        watch.finished(one)
    printed = capsys.readouterr()
    assert "end" in printed.out
    assert not {*printed.out, *printed.err} & UNSEEN
