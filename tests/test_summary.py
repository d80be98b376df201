from __future__ import annotations

import pytest

from onchip.summary import count, summarise, title
from tests.examples import record


def test_means_and_spreads_are_over_the_runs_that_succeeded() -> None:
    (summary,) = summarise([record(seed=0, accuracy=0.4), record(seed=1, accuracy=0.6), record(seed=2, accuracy=None)])
    assert (summary.runs, summary.succeeded) == (3, 2)
    assert summary.test is not None
    assert summary.transported is not None
    assert summary.update is not None
    assert summary.test.mean == pytest.approx(0.5)
    assert summary.test.deviation == pytest.approx(0.02**0.5)  # n - 1 below
    assert summary.transported.values == (100.0, 200.0)  # weights a step
    assert summary.update.mean == 300_000 / (100 * 2)  # products a sample that was trained on


def test_a_single_seed_has_no_spread() -> None:
    (summary,) = summarise([record()])
    assert summary.test is not None
    assert summary.test.deviation is None


def test_a_rule_that_only_failed_has_no_figures() -> None:
    (summary,) = summarise([record(accuracy=None)])
    assert (summary.succeeded, summary.test, summary.forward) == (0, None, None)


def test_rules_stand_in_the_order_of_their_first_run() -> None:
    records = [record("fa"), record("bp"), record("fa", seed=1)]
    assert [summary.label for summary in summarise(records)] == ["fa", "bp"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.25, "0.25"), (999, "999"), (999.96, "1k"), (18496, "18.5k"), (1234567, "1.235M"), (5e9, "5G")],
)
def test_counts_have_four_digits(value: float, text: str) -> None:
    assert count(value) == text


def test_the_title_says_what_the_runs_share() -> None:
    assert title([record()]) == (
        "digits (100 training, 10 validation, 20 test samples), mlp of lif neurons, constant input, T = 6, 2 epochs"
    )
    assert "T =" not in title([record(steps=None)])
