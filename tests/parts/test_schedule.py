"""When transports are due."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onchip.errors import RequestError
from onchip.options import convert
from onchip.parts import Doubling


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
