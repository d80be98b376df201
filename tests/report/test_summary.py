from __future__ import annotations

import pytest

from onchip.report.costs import traffic
from onchip.report.summary import count, on_front, summarize, title
from tests.examples import record


def test_means_and_spreads_are_over_the_runs_that_succeeded() -> None:
    (summary,) = summarize([record(seed=0, accuracy=0.4), record(seed=1, accuracy=0.6), record(seed=2, accuracy=None)])
    assert (len(summary.runs), len(summary.good)) == (3, 2)
    assert summary.test is not None
    assert summary.test.mean == pytest.approx(0.5)
    assert summary.test.deviation == pytest.approx(0.02**0.5)  # n - 1 below


def test_a_single_seed_has_no_spread() -> None:
    (summary,) = summarize([record()])
    assert summary.test is not None
    assert summary.test.deviation is None


def test_a_rule_that_only_failed_has_no_figures() -> None:
    (summary,) = summarize([record(accuracy=None)])
    assert (summary.good, summary.test, summary.spread(lambda r: r.samples_per_second)) == ((), None, None)


def test_rules_stand_in_the_order_of_their_first_run() -> None:
    records = [record("fa"), record("bp"), record("fa", seed=1)]
    assert [summary.label for summary in summarize(records)] == ["fa", "bp"]


def test_one_name_with_other_options_is_another_rule() -> None:
    older, newer = record("fbp", options={"period": 100}), record("fbp", options={"period": 31, "budget": None})
    same = record("fbp", options={"period": 100, "budget": None}, seed=1)  # an option that the older version had not
    summaries = summarize([older, newer, same])
    assert [summary.label for summary in summaries] == ['fbp {"period": 100}', 'fbp {"period": 31}']
    assert [len(summary.runs) for summary in summaries] == [2, 1]


def test_the_front_is_of_means_over_seeds() -> None:
    moved = {"a": (10, (0.9, 0.7)), "b": (20, (0.85, 0.85)), "c": (30, (0.84, 0.84)), "d": (5, (0.1, 0.1))}
    records = [
        record(rule, seed, accuracy, ledger={**record().ledger, "weights_transported": cost})
        for rule, (cost, accuracies) in moved.items()
        for seed, accuracy in enumerate(accuracies)
    ]
    summaries = summarize([*records, record("e", accuracy=None)])
    assert [summary.label for summary in on_front(summaries, traffic(records))] == ["d", "a", "b"]


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
