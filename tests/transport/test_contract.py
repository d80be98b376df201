"""Laws of every exported scheme, and `Full` and `Top` by numbers that can be checked by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from onchip import transport
from onchip.errors import RequestError
from onchip.runs.grammar import command_name, convert
from onchip.transport import Full, Top, Transport, Transported

NEEDED: dict[str, dict[str, Any]] = {"Threshold": {"threshold": 0.1}}
"""Options that have no default."""

SCHEMES = [name for name in transport.__all__ if name not in ("Transport", "Transported")]
every = pytest.mark.parametrize("name", SCHEMES)

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


def scheme(name: str) -> Transport:
    built: Transport = getattr(transport, name)(**NEEDED.get(name, {}))
    return built


@every
def test_a_scheme_writes_in_place_and_returns_one_result_per_layer(name: str) -> None:
    torch.manual_seed(0)
    weights = [torch.randn(3, 4), torch.randn(2, 3, 3, 3)]
    feedback = [torch.zeros_like(weight) for weight in weights]
    kept, addresses = [weight.clone() for weight in weights], [copy.data_ptr() for copy in feedback]
    moved = scheme(name)(feedback, weights, 0)
    assert [copy.data_ptr() for copy in feedback] == addresses
    assert all(torch.equal(weight, first) for weight, first in zip(weights, kept, strict=True))
    assert len(moved) == len(weights)
    for layer, copy, weight in zip(moved, feedback, weights, strict=True):
        assert layer.scalars > 0
        assert layer.value_bits > 0
        assert (copy - weight).norm() < weight.norm()


@every
def test_a_message_has_the_announced_size_or_none_is_announced(name: str) -> None:
    torch.manual_seed(0)
    weight = torch.randn(5, 7)
    (moved,) = scheme(name)([torch.zeros(5, 7)], [weight], 3)
    assert scheme(name).message_bits(weight) in (None, moved.value_bits + moved.index_bits)


@every
def test_an_exact_copy_does_not_change(name: str) -> None:
    feedback = WEIGHT.clone()
    scheme(name)([feedback], [WEIGHT], 0)
    assert torch.equal(feedback, WEIGHT)


@every
def test_a_scheme_can_be_named_on_the_command_line(name: str) -> None:
    options = "".join(f":{key}={value}" for key, value in NEEDED.get(name, {}).items())
    assert convert(command_name(name) + options, Transport | None, "transport") == scheme(name)
