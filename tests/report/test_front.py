from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from onchip.report.summary import front

POINTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12)


def dominates(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a[0] <= b[0] and a[1] >= b[1] and a != b


@given(POINTS)
def test_the_front_is_what_nothing_dominates(points: list[tuple[int, int]]) -> None:
    expected = [i for i, point in enumerate(points) if not any(dominates(other, point) for other in points)]
    assert sorted(front(points)) == expected


@given(POINTS)
def test_the_front_rises(points: list[tuple[int, int]]) -> None:
    found = [points[index] for index in front(points)]
    assert found == sorted(found)
