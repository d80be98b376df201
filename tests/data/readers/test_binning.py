"""Frames hold every event once, where and when it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onchip.data.readers.binning import count_events, stored
from onchip.data.readers.events import Events
from tests.data.event_files import some


def events(n: int, size: int, until: int, seed: int) -> Events:
    x, y, sign, time = np.array(some(n, size=size, until=until, seed=seed), dtype=np.int64).T
    return Events((size, size), x, y, sign, time)


@settings(deadline=None)  # which a busy machine misses
@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 128), st.integers(1, 10**6), st.booleans())
def test_the_frames_add_up_to_the_events(n: int, frames: int, size: int, until: int, windowed: bool) -> None:
    recorded = events(n, 128, until, n)
    counts = count_events(recorded, frames, (size, size), window=(0, 1000) if windowed else None)
    assert counts.shape == (frames, 2, size, size)
    assert counts.sum() == n
    assert (counts.sum((0, 2, 3)) == np.bincount(recorded.sign, minlength=2)).all()


@pytest.mark.parametrize(("frames", "size"), [(1, 128), (7, 128), (20, 48), (40, 32), (3, 1)])
def test_a_frame_is_what_the_formula_says(frames: int, size: int) -> None:
    recorded = events(500, 128, 10_000, 1)
    expected = np.zeros((frames, 2, size, size), dtype=np.int64)
    begin, end = int(recorded.time[0]), int(recorded.time[-1]) + 1
    for x, y, sign, time in zip(recorded.x, recorded.y, recorded.sign, recorded.time, strict=True):
        frame = next(f for f in range(frames) if time - begin < (f + 1) * (end - begin) / frames)
        expected[frame, sign, int(y * size / 128), int(x * size / 128)] += 1
    assert (count_events(recorded, frames, (size, size)) == expected).all()


def test_more_events_than_a_byte_counts_stay_its_largest() -> None:
    assert stored(np.array([0, 1, 255, 256, 10**6])).tolist() == [0, 1, 255, 255, 255]
