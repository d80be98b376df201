from __future__ import annotations

from onchip import report
from tests.examples import record


def test_a_row_a_rule() -> None:
    records = [record(seed=0, accuracy=0.4), record(seed=1, accuracy=0.6), record("fa", accuracy=0.5)]
    assert report.rows(records) == [
        ("bp", "50.00 ± 14.14", "40.00 ± 14.14", "2", "150", "1k", "500", "1.5k", "1k"),
        ("fa", "50.00", "40.00", "1", "100", "1k", "500", "1.5k", "1k"),
    ]


def test_failures_are_counted_and_named() -> None:
    records = [record(seed=0), record(seed=1, accuracy=None), record("fa", accuracy=None)]
    rows = report.rows(records)
    assert rows[0][3] == "1 of 2"
    assert rows[1] == ("fa", "-", "-", "0 of 1", "-", "-", "-", "-", "-")
    text = report.markdown(records)
    assert "- failed: bp, seed 1: it diverged" in text
    assert "- failed: fa, seed 0: it diverged" in text


def test_validation_may_be_absent() -> None:
    assert report.rows([record(validation_accuracy=None)])[0][2] == "-"


def test_the_columns_are_aligned() -> None:
    text = report.markdown([record(), record("fbp:period=100;transport=top:0.1")])
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert len({tuple(i for i, c in enumerate(line) if c == "|") for line in lines}) == 1
