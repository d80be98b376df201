from __future__ import annotations

from xml.etree import ElementTree

import pytest

from onchip import report
from onchip.runs.record import Probe
from tests.examples import record

RECORDS = [record(seed=0), record(seed=1, accuracy=0.6), record("dfa"), record("fa", accuracy=None)]


def texts(svg: bytes) -> list[str]:
    return [
        "".join(element.itertext()) for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")
    ]


def test_draws_both_kinds_the_same_each_time() -> None:
    svg, png = report.figure(RECORDS, "svg"), report.figure(RECORDS, "png")
    assert svg is not None
    assert png is not None
    assert png.startswith(b"\x89PNG")
    assert svg == report.figure(RECORDS, "svg")
    assert {"bp", "dfa"} <= set(texts(svg))
    assert "fa" not in texts(svg)  # it has no accuracy to show


def test_a_rule_that_moves_nothing_stands_at_zero() -> None:
    still = record("dfa", ledger={**record().ledger, "weights_transported": 0})
    svg = report.figure([record(), still], "svg")
    assert svg is not None
    assert "0" in texts(svg)
    assert report.figure([still], "svg") is not None


def test_there_is_none_without_a_result() -> None:
    assert report.figure([record(accuracy=None)], "svg") is None
    assert report.figures([record(accuracy=None)]) == []


def test_a_figure_for_all_that_the_records_hold_and_for_nothing_else() -> None:
    assert [drawn.name for drawn in report.figures(RECORDS)] == [
        "front-weights",
        "front-products",
        "learning-accuracy",
        "learning-loss",
    ]
    bits = {**record().ledger, "transport_value_bits": 9, "transport_index_bits": 1}
    probes = tuple(Probe(step, {"1": {"cosine": 0.5, "odd": 1.0}, "3": {"cosine": None}}) for step in (0, 5))
    newer = [record(ledger=bits, probes=probes), record("dfa", history=record().history[:1])]
    assert [drawn.name for drawn in report.figures(newer)] == [
        "front-weights",
        "front-products",
        "learning-accuracy",
        "learning-loss",
        "probe-cosine",
        "probe-odd",
    ]
    captions = [drawn.caption for drawn in report.figures(newer)]
    assert captions[-2].startswith("Cosine between")
    assert captions[-1] == "odd."  # what a later version may probe
    probed = report.figures(newer)[-2].content("svg")
    assert "layer 1" in texts(probed)
    assert "layer 3" not in texts(probed)


def test_the_front_of_one_rule_is_not_worth_a_figure() -> None:
    assert [drawn.name for drawn in report.figures([record()])] == ["learning-accuracy", "learning-loss"]


@pytest.mark.parametrize("label", [r"$\frac$", "_hidden", "<b>&amp;", "a\x00b\ud800c\U0001f600", "x" * 500, "", "中文"])
def test_any_label_is_drawn_as_it_is(label: str) -> None:
    svg = report.figure([record(label), record("bp")], "svg")
    assert svg is not None
    shown = texts(svg)
    if label.isascii() and label.isprintable() and 0 < len(label) < 60:
        assert label in shown
    for drawn in report.figures([record(label), record("bp")]):
        ElementTree.fromstring(drawn.content("svg"))


def test_many_rules_keep_their_marks_apart() -> None:
    records = [record(f"rule-{index}", seed) for index in range(40) for seed in range(2)]
    svg = report.figures(records)[0].content("svg")
    assert {f"rule-{index}" for index in range(40)} <= set(texts(svg))


def test_names_of_files_hold_no_path() -> None:
    odd = {**record().ledger, "energy_pj_../../etc": 5}
    drawn = report.figures([record(ledger=odd), record("fa", ledger=odd)])
    assert "front-energy-etc" in [one.name for one in drawn]


def test_what_is_never_above_zero_is_drawn_too() -> None:
    probes = tuple(Probe(step, {"1": {"gradient_variance": 0.0}}) for step in (0, 5))
    assert report.figures([record(probes=probes)])[-1].name == "probe-gradient-variance"
