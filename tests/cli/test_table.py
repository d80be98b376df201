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


@pytest.mark.parametrize("chosen", [None, "all"])
@pytest.mark.parametrize("rules", [1, 2, 5, 7])
@pytest.mark.parametrize("width", [*range(40, 201, 16), 60, 80, 100])
def test_no_line_is_wider_than_the_terminal_and_no_head_is_broken(
    width: int, rules: int, chosen: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    printed = []
    for terminal in (True, False):
        monkeypatch.setattr("sys.stdout.isatty", lambda answer=terminal: answer)
        output.show_table(records(rules), to_error=False, columns=output.chosen_columns(chosen))
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1], "a pipe gets what a terminal of that width does"
    lines = printed[0].splitlines()
    assert max(map(cell_len, lines)) <= width
    said = re.search(r"Not shown \(--columns\): ([a-z, ]+)", " ".join(lines))
    missing = set(re.findall("[a-z]+", said[1])) if said else set[str]()
    table = report.table(records(rules))
    assert missing <= set(table.names)
    if chosen == "all":
        assert not missing
    elif width >= 100:
        assert set(report.FEW) & set(table.names) == set(table.names[1:]) - missing, "what a comparison is about fits"
    assert width < 80 or len(set(table.names) - missing) >= 5
    heads = [head for name, head in zip(table.names, table.header, strict=True) if name not in missing]
    text = printed[0].split("Accuracies:")[0].replace("\n", " ")
    for word in (word for head in heads for word in head.split()):
        assert f" {word} " in f" {text} "
    for row in table.texts():
        for head, cell in zip(table.header, row, strict=True):
            assert head not in heads or head == "rule" or cell in text


def test_without_a_terminal_the_width_does_not_change(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = []
    for columns in ("", "0", "wide", "100"):
        monkeypatch.setenv("COLUMNS", columns)
        output.show_table(records(5), to_error=False)
        printed.append(capsys.readouterr().out)
    assert len(set(printed)) == 1
    assert "Not shown (--columns): validation, pareto, weights, forward, error, update, speed\n" in printed[0]


def test_weights_stand_for_bits_where_older_records_have_none(capsys: pytest.CaptureFixture[str]) -> None:
    older = {name: count for name, count in LEDGER.items() if "_bits" not in name}
    output.show_table([record(ledger=older)], to_error=False)
    assert "weights" in capsys.readouterr().out.partition("Not shown")[0]


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
    assert "\nrule  memory  test %\n" in result.out
    assert "Not shown (--columns): validation, seeds, pareto, weights, bits" in result.out
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
