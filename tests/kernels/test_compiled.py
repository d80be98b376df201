"""Compiled scans against torch's, in float32: bit for bit forward, to rounding backward."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from onchip import kernels, surrogate
from onchip.kernels.lif import Membrane, backward, backward_local, forward, weighted_sum
from onchip.kernels.trace import trace
from onchip.surrogate import Sigmoid, Surrogate

pytestmark = pytest.mark.skipif(kernels.active() != "native", reason="needs a C compiler")

SURROGATES: list[Surrogate] = [getattr(surrogate, name)() for name in surrogate.__all__ if name != "Surrogate"] + [
    Sigmoid(slope=2.5),
    surrogate.Triangle(width=0.7),
    surrogate.ATan(alpha=3.0),
]
MEMBRANES = [Membrane(0.5, 1.0, hard, detach) for hard in (False, True) for detach in (False, True)]
MEMBRANES += [Membrane(0.9, 0.7, False, False), Membrane(0.3, 1.3, True, False)]
# One number, a ragged end of a vector, more than a stretch of 1,024; maps with one, few and very many channels.
SHAPES = [(1, 1), (3, 37), (4, 700), (2, 3, 6, 4), (1, 1, 4, 4), (5, 8, 16, 16), (1, 1100, 2, 4), (2, 40, 4, 60)]


def series(shape: tuple[int, ...], steps: int = 4, mean: float = 0.4) -> Tensor:
    """Normal numbers (T, B, features...), maps in channels_last order."""
    drawn = torch.randn(steps * shape[0], *shape[1:]) + mean
    if len(shape) == 4:
        drawn = drawn.contiguous(memory_format=torch.channels_last)
    return drawn.unflatten(0, (steps, shape[0]))


def both(work: Callable[[], tuple[Tensor, ...]]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    with kernels.forced("native"):
        compiled = work()
    with kernels.forced("torch"):
        return compiled, work()


def same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same bits, NaN included."""
    return torch.equal(one.contiguous().view(torch.int32), other.contiguous().view(torch.int32))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("membrane", MEMBRANES, ids=str)
@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("rested", [False, True])
def test_neurons_fire_bit_for_bit(shape: tuple[int, ...], membrane: Membrane, static: bool, rested: bool) -> None:
    drive, rest = series(shape), torch.rand(shape) if rested else None
    for pool in [None, 1, 2] if len(shape) == 4 else [None]:

        def work(pool: int | None = pool) -> tuple[Tensor, ...]:
            return forward(drive[0] if static else drive.clone(), 4 if static else None, membrane, rest, pool)

        compiled, expected = both(work)
        for got, wanted in zip(compiled, expected, strict=True):
            assert got.stride() == wanted.stride()
            assert same(got, wanted)
        assert 0 < compiled[0].mean() < 1 or compiled[0].numel() < 100


@pytest.mark.parametrize("psi", SURROGATES, ids=str)
@pytest.mark.parametrize("membrane", MEMBRANES, ids=str)
def test_errors_agree(psi: Surrogate, membrane: Membrane) -> None:
    for shape in SHAPES:
        potentials = series(shape)
        for pool in [None, 1, 2] if len(shape) == 4 else [None]:
            grid = shape if pool is None else (*shape[:2], shape[2] // pool, shape[3] // pool)
            error = series(grid, mean=0.0)

            def work(
                potentials: Tensor = potentials, error: Tensor = error, pool: int | None = pool
            ) -> tuple[Tensor, ...]:
                return (
                    backward(potentials.clone(), error, membrane, psi, pool),
                    backward_local(potentials.clone(), error, membrane, psi, pool),
                )

            for got, expected in zip(*both(work), strict=True):
                torch.testing.assert_close(got, expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("x", [0.0, 1e-6, 0.3, 2.0, 5.0, 20.0, 21.7, 30.0, 1e4, math.inf])
def test_the_sigmoid_is_as_exact_far_out(x: float) -> None:
    """ψ = k e / (1 + e)² with e = exp(-k|x|): torch's σ (1 - σ) has no digits left beyond k x = 17."""
    for sign in (1, -1):
        potentials = torch.full((1, 1, 16), 1.0 + sign * x)
        distance = abs(float(potentials[0, 0, 0]) - 1.0)
        with kernels.forced("native"):
            got = backward_local(
                potentials, torch.ones_like(potentials), Membrane(0.5, 1.0, False, False), Sigmoid(), None
            )
        e = math.exp(-4 * distance)
        expected = torch.full_like(got, 4 * e / (1 + e) ** 2)
        torch.testing.assert_close(got, expected, rtol=5e-7, atol=1e-37)


@pytest.mark.parametrize("psi", SURROGATES, ids=str)
def test_nan_and_infinity_end_as_in_torch(psi: Surrogate) -> None:
    potentials = torch.zeros(3, 1, 24)
    potentials[1, 0, :4] = torch.tensor([math.nan, math.inf, -math.inf, 1.0])
    error = torch.ones_like(potentials)
    error[1, 0, 8] = math.nan
    for way in (backward, backward_local):

        def work(way: Callable[..., Tensor] = way) -> tuple[Tensor, ...]:
            return (way(potentials.clone(), error, MEMBRANES[0], psi, None),)

        (got,), (expected,) = both(work)
        assert torch.equal(got.isnan(), expected.isnan())
        assert got[1, 0, 8].isnan()


def test_nan_in_a_drive_comes_through() -> None:
    drive = series((2, 8, 4, 4))
    drive[1, 0, 3, 1, 2] = math.nan
    compiled, expected = both(lambda: forward(drive.clone(), None, MEMBRANES[0], None, 2))
    assert compiled[1].isnan().sum() == 3
    assert all(same(got, wanted) for got, wanted in zip(compiled, expected, strict=True))


@settings(max_examples=30, deadline=None)
@given(steps=st.integers(1, 7), width=st.integers(1, 2100), decay=st.floats(0, 1), started=st.booleans())
def test_traces_and_sums_are_torchs(steps: int, width: int, decay: float, started: bool) -> None:
    signal = torch.randn(steps, 1, width)
    before = torch.randn(1, width) if started else None
    weights = torch.rand(steps).tolist()
    compiled, expected = both(lambda: (trace(signal, decay, before), weighted_sum(signal, weights)))
    for got, wanted in zip(compiled, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-6)


def test_a_trace_goes_on_from_a_state_in_another_order() -> None:
    signal, before = series((2, 3, 4, 5)), torch.randn(2, 3, 4, 5)
    compiled, expected = both(lambda: (trace(signal, 0.5, before),))
    assert same(compiled[0], expected[0])


def test_errors_in_any_order_are_read_and_left_alone() -> None:
    potentials = series((2, 3, 4, 6))
    row = torch.randn(2, 3, 2, 3)  # neither channels_last nor of T steps
    for pool, error in ((2, row.expand(4, *row.shape)), (None, torch.randn(1, 2, 3, 4, 6).expand_as(potentials))):
        kept = error.clone()

        def work(pool: int | None = pool, error: Tensor = error) -> tuple[Tensor, ...]:
            return (backward(potentials.clone(), error, MEMBRANES[0], Sigmoid(), pool),)

        got, expected = both(work)
        torch.testing.assert_close(got, expected, rtol=2e-5, atol=1e-6)
        assert torch.equal(error, kept)


def test_errors_and_states_of_another_type_are_read_as_numbers() -> None:
    potentials, error, before = (
        series((2, 3, 4, 6)),
        torch.randn(4, 2, 3, 4, 6).bfloat16(),
        torch.rand(2, 3, 4, 6).double(),
    )
    got = backward(potentials.clone(), error, MEMBRANES[0], Sigmoid(), None)
    assert torch.equal(got, backward(potentials.clone(), error.float(), MEMBRANES[0], Sigmoid(), None))
    assert torch.equal(trace(potentials, 0.5, before), trace(potentials, 0.5, before.float()))


def test_maps_in_torchs_own_order_are_left_to_torch() -> None:
    drive = torch.randn(4, 2, 3, 4, 4)
    compiled, expected = both(lambda: forward(drive.clone(), None, MEMBRANES[0], None, 2))
    assert all(torch.equal(got, wanted) for got, wanted in zip(compiled, expected, strict=True))


def test_a_surrogate_of_ones_own_is_left_to_torch() -> None:
    class Flat(Surrogate):
        def gate_(self, x: Tensor, error: Tensor) -> Tensor:
            return x.copy_(error)

    error = torch.randn(4, 2, 3)
    got = backward_local(torch.randn(4, 2, 3), error, MEMBRANES[0], Flat(), None)
    assert torch.equal(got, error)


def test_several_threads_agree_with_one() -> None:
    drive, error = series((8, 16, 16, 16)), series((8, 16, 8, 8))

    def work() -> list[Tensor]:
        spikes, potentials, kept = forward(drive.clone(), None, MEMBRANES[4], None, 2)
        total = weighted_sum(drive, [0.1, 0.2, 0.3, 0.4])
        delta = backward(potentials, error, MEMBRANES[4], Sigmoid(), 2)
        return [spikes, kept, total, delta, trace(drive, 0.9)]

    alone = work()
    torch.set_num_threads(2)
    try:
        together = work()
    finally:
        torch.set_num_threads(1)
    assert all(same(one, two) for one, two in zip(alone, together, strict=True))
