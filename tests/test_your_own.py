"""Every example of docs/your-own.md works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from onchip.cli import app
from onchip.runs.record import read
from onchip.training.fit import FitResult

PAGE = (Path(__file__).parent.parent / "docs" / "your-own.md").read_text(encoding="utf-8")


def source(example: str) -> str:
    """The code block of an example."""
    block = re.search(rf"<!-- example: {re.escape(example)} -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert block, example
    return block[1]


def test_the_files_and_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("my_net.py", "my_data.py"):
        Path(name).write_text(source(name), encoding="utf-8")
    commands = re.search(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    assert commands
    compare, cost, audit, check, train = (line.partition("#")[0].split()[1:] for line in commands[1].splitlines())
    for words in (compare, cost, check, [*audit, "--span", "2"], [*train, "--epochs", "1", "--train-size", "30"]):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
    records = {record.label: record for record in read(Path("runs/bars/records.jsonl"))}
    assert set(records) == {"bp", "ottt", "dfa"}
    assert all((record.test_accuracy or 0.0) > 0.9 for record in records.values())


def test_the_programs(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(source("fit"), names)
    result = names["result"]
    assert isinstance(result, FitResult)
    assert result.accuracy > 0.7
    printed = capsys.readouterr().out
    assert "| eprop |" in printed
    assert str(result.accuracy) in printed
    exec(source("compare"), names)
    assert [(record.label, record.seed) for record in names["records"]] == [
        (rule, seed) for seed in (0, 1) for rule in ("bp", "eprop", "dfa")
    ]
    assert "| dfa " in capsys.readouterr().out


def test_the_script_with_everything_of_a_newcomers_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(source("newcomer").splitlines()) <= 60
    names: dict[str, Any] = {}
    exec(source("newcomer"), names)
    assert names["certificate"].holds
    exact, events = names["results"]
    assert min(exact.accuracy, events.accuracy) > 0.6, "chance is a third"
    assert events.bill["weights_transported"] == events.bill["macs_error"] == 0
    printed = capsys.readouterr().out
    assert "holds        ternary errors" in printed
    assert "| events |" in printed
    page = Path("runs/waves/report.html").read_text(encoding="utf-8")
    assert "events" in page
    assert "bp" in page
