"""Tables on terminals of any width."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from onchip import report
from onchip.cli.shared import output
from onchip.cli.shared.table import drawn
from onchip.runs.record import Record
from tests.examples import record

from .conftest import Onchip

LEDGER = {
    **record().ledger,
    **{f"operations_{part}": 409_600 for part in ("forward", "error", "update")},
    "transport_value_bits": 188_400,
    "transport_index_bits": 3,
    "feedback_memory": 1,
    "stored_activity_peak": 2,
    "energy_pj_horowitz_45nm": 9e8,
}
RULES = ["bp", "ottt", "fbp:period=100;transport=top:0.1", "fa", "dfa", "weight_mirror", "own_noise_mirror"]


def records(rules: int) -> list[Record]:
    return [record(rule, seed, 0.9 + seed / 30, ledger=LEDGER) for rule in RULES[:rules] for seed in range(3)]


def shown(heads: list[str], lines: list[str]) -> set[str]:
    """The heads whose words all stand in the lines, each whole."""
    words = set(" ".join(lines).split())
    return {head for head in heads if set(head.split()) <= words}


@pytest.mark.parametrize("rules", [1, 2, 5, 7])
@pytest.mark.parametrize("width", [*range(40, 201, 8), 60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_no_head_is_broken(
    rules: int, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    output.show_table(records(rules), to_error=False, file=Path("out/table.md"))
    printed = capsys.readouterr().out
    assert max(map(cell_len, printed.splitlines())) <= width
    left_out = re.search(r"out/table.md also has: (.*?)\. --columns", " ".join(printed.split()))
    named = set(left_out[1].split(", ")) if left_out else set()
    table = report.table(records(rules))
    heads = set(table.header) - named
    assert {"rule", "test %"} <= heads
    text = printed.split("Accuracies:")[0].replace("\n", " ")
    for word in (word for head in heads for word in head.split()):
        assert f" {word} " in f" {text} "
    for row in table.texts():
        for head, cell in zip(table.header, row, strict=True):
            assert head not in heads or head == "rule" or cell in text
    assert width < 80 or len(heads) >= 5, "what a comparison is about fits"


def test_few_rules_stand_side_by_side() -> None:
    table = report.table(records(2))
    lines, left_out = drawn(table.header, table.texts(), table.header, 80)
    assert not left_out
    assert lines[0].split() == ["rule", "bp", "ottt"]
    assert [line.split()[0] for line in lines[2:]] == [head.split()[0] for head in table.header[1:]]


TEXT = st.text(alphabet="ab;=: -±µ中\x1b\t", max_size=30)


@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=9), st.tuples(TEXT, TEXT, TEXT), st.integers(1, 200))
def test_any_text_can_be_drawn(rows: list[tuple[str, str, str]], header: tuple[str, str, str], width: int) -> None:
    lines, left_out = drawn(header, rows, header[1:], width)
    assert len(left_out) <= 1
    assert all(line.isprintable() for line in lines)
    if width >= 8 + 2 + 60:
        assert max(map(cell_len, lines)) <= width


def test_columns_can_be_chosen(onchip: Onchip) -> None:
    tiny = ("--net", "mlp", "--train-size", "20", "--steps", "1", "--epochs", "1", "--seeds", "1", "--rules", "dfa")
    result = onchip("compare", *tiny, "--out", "out", "--columns", "memory,test")
    assert [cell.strip() for cell in result.out.splitlines()[2].strip("|").split("|")] == ["rule", "memory", "test %"]
    assert "samples/s" in Path("out", "table.md").read_text()
    refused = onchip("compare", *tiny, "--columns", "memroy")
    assert refused.code == 2
    assert "did you mean 'memory'" in refused.err
    assert not Path("runs").exists()


def test_every_column_has_a_name() -> None:
    judged = [replace(run, chip={"name": "loihi", "verdict": "faithful", "bits": False}) for run in records(1)]
    with_bits = [replace(run, chip={**run.chip, "bits": True}) for run in judged]
    table = report.table(judged + with_bits)
    assert set(table.names[1:]) == set(report.COLUMNS)


def test_what_is_unpriced_stands_below_the_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    runs = [record("bp", ledger={**LEDGER, "spikes": 3}), record("opzo", ledger={**LEDGER, "random_draws": 5})]
    output.show_table(runs, to_error=False, columns=["test", "energy"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "Unpriced by horowitz-45nm, and in no sum: sending of spikes (bp); random numbers (opzo)." in printed
    output.show_table(runs, to_error=False, columns=["test", "bits"])
    assert "Unpriced" not in capsys.readouterr().out
