"""Compiled spike times against torch's: bit for bit."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from onchip import kernels
from onchip.kernels.times import cross, fired_and_times
from onchip.surrogate import ATan, FastSigmoid, Rectangle, Sigmoid, Surrogate, Triangle

pytestmark = pytest.mark.skipif(kernels.active() != "native", reason="needs a C compiler")

SHAPES = [(1, 1), (3, 37), (2, 5, 6, 4), (64, 600)]


def equal(one: Tensor, other: Tensor) -> bool:
    """Whether both hold the same bits, in the same order."""
    bits = [tensor.contiguous().view(torch.int32) for tensor in (one, other)]
    return one.stride() == other.stride() and torch.equal(*bits)


def laid_out(drawn: Tensor, rows: bool) -> Tensor:
    return drawn.contiguous(memory_format=torch.channels_last) if rows and drawn.dim() == 4 else drawn


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_fired_and_times(shape: tuple[int, ...], rows: bool) -> None:
    times = laid_out(torch.rand(shape).where(torch.rand(shape) < 0.6, torch.tensor(math.inf)), rows)
    times[(0,) * times.dim()] = math.nan
    with kernels.forced("torch"):
        expected = fired_and_times(times)
    assert equal(fired_and_times(times), expected)
    assert fired_and_times(times.requires_grad_()).requires_grad, "autograd follows torch's own"


@settings(max_examples=40, deadline=None)
@given(
    shape=st.sampled_from(SHAPES),
    rows=st.booleans(),
    clip=st.sampled_from([0.3, 1.0, math.inf]),
    scale=st.sampled_from([0.1, 1.0, 30.0]),
    odd=st.sampled_from([0.0, math.nan, math.inf, -math.inf]),
)
def test_crossings(shape: tuple[int, ...], rows: bool, clip: float, scale: float, odd: float) -> None:
    sums = laid_out(scale * torch.randn(2 * shape[0], *shape[1:]), rows)
    if odd:
        sums[0] = odd
    sums = sums.unflatten(0, (2, shape[0]))
    before = sums.clone()
    with kernels.forced("torch"):
        expected = cross(sums, clip)
    for got, wanted in zip(cross(sums, clip), expected, strict=True):
        assert torch.equal(got.isnan(), wanted.isnan())
        assert equal(got.nan_to_num(7.0), wanted.nan_to_num(7.0)), "signs of NaN are nobody's business"
    assert equal(sums, before)


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("surrogate", [Triangle(0.7), Rectangle(), ATan(), FastSigmoid(), Sigmoid()], ids=str)
def test_the_derivative_of_firing(surrogate: Surrogate, shape: tuple[int, ...], rows: bool) -> None:
    sums = laid_out(torch.randn(2 * shape[0], *shape[1:]), rows).unflatten(0, (2, shape[0]))
    before = sums.clone()
    with kernels.forced("torch"):
        times, partials = cross(sums, 1.0, surrogate)
    got = cross(sums, 1.0, surrogate)
    assert equal(got[0], times)
    assert equal(sums, before)
    if isinstance(surrogate, Sigmoid):  # of which torch's formula loses digits
        torch.testing.assert_close(got[1], partials)
    else:
        assert equal(got[1], partials)


def test_all_three_regimes_occur() -> None:
    times, partials = cross(torch.randn(2, 50, 60), 1.0)
    for share in (times == 0, times.isinf(), (times > 0) & times.isfinite()):
        assert share.float().mean() > 0.05
    assert partials[0].abs().max() <= 1
