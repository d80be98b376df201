from __future__ import annotations

from onchip import report
from tests.examples import record

RECORDS = [record(seed=0), record(seed=1, accuracy=0.6), record("dfa"), record("fa", accuracy=None)]


def test_draws_both_kinds_the_same_each_time() -> None:
    svg, png = report.figure(RECORDS, "svg"), report.figure(RECORDS, "png")
    assert svg is not None
    assert png is not None
    assert png.startswith(b"\x89PNG")
    assert svg == report.figure(RECORDS, "svg")
    text = svg.decode()
    assert ">bp<" in text
    assert ">dfa<" in text
    assert ">fa<" not in text  # it has no accuracy to show


def test_a_rule_that_moves_nothing_stands_at_zero() -> None:
    still = record("dfa", ledger={**record().ledger, "weights_transported": 0})
    svg = report.figure([record(), still], "svg")
    assert svg is not None
    assert ">0<" in svg.decode()
    assert report.figure([still], "svg") is not None


def test_there_is_none_without_a_result() -> None:
    assert report.figure([record(accuracy=None)], "svg") is None
