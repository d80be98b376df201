"""`Full` and `Top` by numbers that can be checked by hand; laws of all schemes are in test_transport_schemes.py."""

from __future__ import annotations

import pytest
import torch

from onchip.errors import RequestError
from onchip.transport import Full, Top, Transported

WEIGHT = torch.tensor([[1.0, -5.0, 2.0, 0.5], [0.0, 3.0, -0.25, 4.0]])


def test_full_copies_all_bits() -> None:
    feedback = torch.zeros(2, 4)
    assert Full()([feedback], [WEIGHT], 0) == [Transported(scalars=8, value_bits=8 * 32)]
    assert torch.equal(feedback, WEIGHT)
    halves = [torch.zeros(2, 4, dtype=torch.float16)], [WEIGHT.half()]
    assert Full()(*halves, 0) == [Transported(scalars=8, value_bits=8 * 16)]


def test_top_copies_the_weights_that_are_furthest_apart() -> None:
    feedback = torch.zeros(2, 4)
    (moved,) = Top(3 / 8)([feedback], [WEIGHT], 0)
    assert feedback.tolist() == [[0, -5, 0, 0], [0, 3, 0, 4]]
    # A list of 3 indices of 3 bits would take 9: a bitmap of the 8 weights is shorter.
    assert moved == Transported(scalars=3, value_bits=96, index_bits=8, compares=8, sorts=8)


def test_what_counts_is_the_difference_and_not_the_weight() -> None:
    feedback = WEIGHT.clone()
    feedback[0, 3] = 9.0
    Top(1 / 8)([feedback], [WEIGHT], 0)
    assert torch.equal(feedback, WEIGHT)


@pytest.mark.parametrize(
    ("fraction", "count"), [(1e-9, 1), (0.1, 1), (0.18, 1), (0.19, 2), (0.5, 4), (0.94, 8), (1.0, 8)]
)
def test_the_share_is_rounded_and_never_empty(fraction: float, count: int) -> None:
    feedback = torch.full((2, 4), 100.0)
    (moved,) = Top(fraction)([feedback], [WEIGHT], 0)
    assert moved.scalars == count
    assert (feedback == WEIGHT).sum() == count


@pytest.mark.parametrize("mixed", [False, True])
def test_weights_in_channels_last_are_written_where_they_are(mixed: bool) -> None:
    weight = torch.randn(4, 3, 2, 2)
    feedback = torch.zeros(4, 3, 2, 2).to(memory_format=torch.channels_last)
    if not mixed:
        weight = weight.to(memory_format=torch.channels_last)
    address = feedback.data_ptr()
    Top(0.25)([feedback], [weight], 0)
    bound = weight.abs().flatten().sort(descending=True).values[11]
    assert torch.equal(feedback, torch.where(weight.abs() >= bound, weight, 0.0))
    assert feedback.data_ptr() == address
    assert feedback.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.0001, float("nan")])
def test_a_share_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(RequestError, match=r"Top got fraction=.*expected a share of the weights in \(0, 1\]"):
        Top(fraction)
