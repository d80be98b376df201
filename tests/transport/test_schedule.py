"""When transports are due."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onchip.errors import RequestError
from onchip.runs.grammar import convert
from onchip.transport.schedule import Balanced, Doubling


@given(first=st.integers(1, 20), more=st.integers(0, 200), steps=st.integers(0, 1500))
def test_intervals_double_up_to_the_longest(first: int, more: int, steps: int) -> None:
    longest = first + more
    due, event, interval = [], first, first
    while event <= steps:
        due.append(event)
        interval = min(2 * interval, longest)
        event += interval
    schedule = Doubling(longest=longest, first=first)
    assert [step for step in range(1, steps + 1) if schedule.due(step)] == due


@given(period=st.integers(1, 50))
def test_equal_intervals_are_a_constant_period(period: int) -> None:
    schedule = Doubling(longest=period, first=period)
    assert all(schedule.due(step) == (step % period == 0) for step in range(1, 200))


@pytest.mark.parametrize(("longest", "first", "name"), [(0, 1, "longest=0"), (5, 0, "first=0"), (5, 6, "first=6")])
def test_intervals_out_of_range_are_refused(longest: int, first: int, name: str) -> None:
    with pytest.raises(RequestError, match=f"Doubling got {name}; expected"):
        Doubling(longest=longest, first=first)


def test_it_can_be_named_on_the_command_line() -> None:
    assert convert("doubling:64", int | Doubling, "period") == Doubling(64)
    assert convert("64", int | Doubling, "period") == 64
    assert convert("balanced:64", int | Doubling | Balanced, "period") == Balanced(64)


@given(bits=st.lists(st.integers(1, 10**7), min_size=1, max_size=8), period=st.floats(1.0, 1000.0))
def test_balanced_periods_cost_no_more_than_one_period_for_all(bits: list[int], period: float) -> None:
    periods = Balanced(period).periods(bits)
    spent = sum(size / each for size, each in zip(bits, periods, strict=True))
    assert min(periods) >= 1
    assert spent <= sum(bits) / period * (1 + 1e-6)
    in_order = [each for _, each in sorted(zip(bits, periods, strict=True))]
    assert all(early <= late + 1 for early, late in itertools.pairwise(in_order))  # + 1: each is rounded


def test_balanced_periods_wait_least_in_all() -> None:
    """Square roots of the sizes, by hand; no other whole periods within the same bits add up to less."""
    bits = [400, 10_000, 100]
    periods = Balanced(52.5).periods(bits)  # 200 bits a step; roots 20 + 100 + 10 = 130
    assert periods == [13, 66, 6]  # of 13, 65 and 6.5, the largest layer paying for the 6
    least = min(
        first + second + third
        for first, second, third in itertools.product(range(8, 20), range(50, 90), range(3, 12))
        if 400 / first + 10_000 / second + 100 / third <= 200
    )
    assert sum(periods) == least


def test_balanced_periods_of_equal_layers_are_one_period() -> None:
    assert Balanced(7).periods([30, 30, 30]) == [7, 7, 7]


@pytest.mark.parametrize("period", [0, -3.0, 0.5, float("nan"), float("inf")])
def test_a_balanced_period_out_of_range_is_refused(period: float) -> None:
    with pytest.raises(RequestError, match=f"Balanced got period={period}; expected at least 1"):
        Balanced(period)
