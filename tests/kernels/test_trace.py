"""Presynaptic traces: the recursion, its closed form, and going on where one stopped."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onchip.kernels.trace import scalar_trace, trace


@settings(max_examples=25, deadline=None)
@given(steps=st.integers(1, 8), decay=st.floats(0, 1), seed=st.integers(0, 99))
def test_a_trace_is_a_sum_of_all_that_came(steps: int, decay: float, seed: int) -> None:
    torch.manual_seed(seed)
    signal = torch.randn(steps, 2, 3, dtype=torch.float64)
    before = signal.clone()
    powers = torch.tensor([[decay ** (t - s) if s <= t else 0.0 for s in range(steps)] for t in range(steps)])
    torch.testing.assert_close(trace(signal, decay), torch.einsum("ts,sbn->tbn", powers.double(), signal))
    assert torch.equal(signal, before)


@settings(max_examples=25, deadline=None)
@given(steps=st.integers(2, 8), decay=st.floats(0, 1), cut=st.integers(1, 7))
def test_a_trace_goes_on_where_it_stopped(steps: int, decay: float, cut: int) -> None:
    signal, cut = torch.rand(steps, 2, 3), min(cut, steps - 1)
    whole = trace(signal, decay)
    early = trace(signal[:cut], decay)
    assert torch.equal(torch.cat([early, trace(signal[cut:], decay, early[-1])]), whole)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
def test_a_static_trace_is_its_closed_form(decay: float) -> None:
    expected = [(1 - decay**t) / (1 - decay) for t in range(1, 7)]
    assert scalar_trace([1.0] * 6, decay) == pytest.approx(expected)
    assert scalar_trace([1.0] * 3, decay, scalar_trace([1.0] * 3, decay)[-1]) == pytest.approx(expected[3:])


def test_a_static_trace_without_leak_counts() -> None:
    assert scalar_trace([1.0] * 4, 1.0) == [1.0, 2.0, 3.0, 4.0]
