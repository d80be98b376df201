"""Triton's kernels on a CPU, in Triton's interpreter: test_fused.py runs this file in a process of its own.

The interpreter rounds a fused multiply-add twice, and a GPU once. With a decay that is a power of two both come to
the same, and to what torch has; with others the oracle here rounds twice, too. And it cuts float32 short to make
bfloat16, where a GPU rounds: so does the oracle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from onchip import Static, kernels, nn, rules
from onchip.kernels import gpu, static_drive
from onchip.kernels.lif import Membrane, backward, backward_local, forward, weighted_sum
from onchip.kernels.table import TRITON
from onchip.kernels.trace import trace
from onchip.surrogate import Sigmoid, Surrogate
from tests.kernels.test_compiled import MEMBRANES, SURROGATES, same, series

SHAPES = [(1, 1), (2, 700), (2, 3, 6, 4), (2, 8, 6, 12)]
HALF = [torch.bfloat16, torch.float16]


@pytest.fixture(autouse=True)
def triton() -> Iterator[None]:
    with kernels.forced("triton"):
        yield


def both(work: Callable[[], tuple[Tensor, ...]]) -> Iterator[tuple[Tensor, Tensor]]:
    """What Triton's kernels make, and what torch makes."""
    fused = work()
    with kernels.forced("torch"):
        return zip(fused, work(), strict=True)


def stored(numbers: Tensor, dtype: torch.dtype) -> Tensor:
    """Float32 numbers as the interpreter stores them in another type."""
    if dtype == torch.bfloat16:
        numbers = (numbers.view(torch.int32) & ~0xFFFF).view(torch.float32)
    return numbers.to(dtype)


def looped(drive: Tensor, membrane: Membrane, kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The neurons step by step: membranes in float32, potentials in the drive's type, each product rounded."""
    spikes, potentials = [], []
    for current in drive:
        u = kept * membrane.decay + current.float()
        potentials.append(stored(u, drive.dtype))
        fired = (potentials[-1].float() >= membrane.threshold).float()
        kept = u - u * fired if membrane.hard else u - membrane.threshold * fired
        spikes.append(fired.to(drive.dtype))
    return torch.stack(spikes), torch.stack(potentials), kept


def test_it_is_triton_that_works() -> None:
    assert kernels.active() == "triton"
    assert gpu.scan("forward", torch.zeros(2, 3, 4)) is not None


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("membrane", MEMBRANES[:3:2], ids=str)
@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("rested", [False, True])
def test_spikes_are_torchs(shape: tuple[int, ...], membrane: Membrane, static: bool, rested: bool) -> None:
    drive = series(shape)
    rest = torch.rand_like(drive[0]) if rested else None
    for pool in [None, 1, 2] if len(shape) == 4 else [None]:

        def work(pool: int | None = pool) -> tuple[Tensor, ...]:
            return forward(drive[0] if static else drive.clone(), 4 if static else None, membrane, rest, pool)

        for got, wanted in both(work):
            assert got.stride() == wanted.stride()
            assert same(got, wanted)


@pytest.mark.parametrize("dtype", [torch.float32, *HALF], ids=str)
@pytest.mark.parametrize("membrane", [*MEMBRANES[::2], Membrane(0.9, 0.7, False, False)], ids=str)
def test_spikes_are_the_loops(dtype: torch.dtype, membrane: Membrane) -> None:
    drive, rest = series((2, 8, 6, 12)).to(dtype), torch.rand(2, 8, 6, 12)
    rest = rest.contiguous(memory_format=torch.channels_last)
    expected = looped(drive, membrane, rest)
    got = forward(drive.clone(), None, membrane, rest, None)
    assert got[0].dtype == got[1].dtype == dtype
    assert got[2].dtype == torch.float32
    assert all(torch.equal(one, other) for one, other in zip(got, expected, strict=True))
    pooled, potentials, _ = forward(drive.clone(), None, membrane, rest, 3)
    assert torch.equal(potentials, expected[1])
    means = F.avg_pool2d(expected[0].flatten(0, 1).float(), 3).unflatten(0, drive.shape[:2])
    assert torch.equal(pooled, stored(means, dtype))


@pytest.mark.parametrize("psi", SURROGATES, ids=str)
@pytest.mark.parametrize("membrane", MEMBRANES[:4], ids=str)
def test_errors_agree(psi: Surrogate, membrane: Membrane) -> None:
    for shape, pool in [((3, 37), None), ((2, 3, 6, 4), 2)]:
        potentials = series(shape)
        error = series(shape if pool is None else (2, 3, 3, 2), mean=0.0)

        def work(potentials: Tensor = potentials, error: Tensor = error, pool: int | None = pool) -> tuple[Tensor, ...]:
            ways = backward, backward_local
            return tuple(way(potentials.clone(), error, membrane, psi, pool) for way in ways)

        for got, expected in both(work):
            torch.testing.assert_close(got, expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("pool", [None, 2])
def test_errors_in_half_precision_are_rounded_once(dtype: torch.dtype, pool: int | None) -> None:
    """What comes back in half precision is what float32 makes of the same numbers, rounded at the end."""
    potentials = series((2, 3, 6, 4)).to(dtype)
    error = series((2, 3, 6, 4) if pool is None else (2, 3, 3, 2), mean=0.0).to(dtype)
    for membrane in MEMBRANES:
        for way in (backward, backward_local):
            got = way(potentials.clone(), error, membrane, Sigmoid(), pool)
            exact = way(potentials.float(), error.float(), membrane, Sigmoid(), pool)
            assert torch.equal(got, stored(exact, dtype))


@pytest.mark.parametrize("dtype", [torch.float32, *HALF], ids=str)
def test_traces_and_sums(dtype: torch.dtype) -> None:
    weights = [0.3, 0.5, 0.7, 1.1]
    for shape in SHAPES:
        signal, before = series(shape).to(dtype), torch.rand(shape).to(dtype)
        for start in (None, before):
            exact = trace(signal.float(), 0.5, start)
            assert torch.equal(trace(signal, 0.5, start), stored(exact, dtype))
        assert torch.equal(weighted_sum(signal, weights), stored(weighted_sum(signal.float(), weights), dtype))
        for got, expected in both(lambda signal=signal: (trace(signal.float(), 0.9), weighted_sum(signal, weights))):  # type: ignore[misc]
            precision = 1e-6 if expected.dtype == torch.float32 else 2 * torch.finfo(dtype).eps
            torch.testing.assert_close(got, expected, rtol=precision, atol=precision)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_nan_and_infinity_end_as_in_torch() -> None:
    drive = series((2, 8, 4, 4))
    drive[1, 0, 3, 1, 2] = math.nan
    for got, expected in both(lambda: forward(drive.clone(), None, MEMBRANES[0], None, 2)):
        assert same(got, expected)
    potentials = torch.zeros(3, 1, 24)
    potentials[1, 0, :4] = torch.tensor([math.nan, math.inf, -math.inf, 1.0])
    potentials[2, 0, 4:6] = torch.tensor([math.inf, -math.inf])
    error = torch.ones_like(potentials)
    error[1, 0, 8] = math.nan
    for membrane in MEMBRANES:
        for psi in SURROGATES:

            def work(psi: Surrogate = psi, membrane: Membrane = membrane) -> tuple[Tensor, ...]:
                return (backward(potentials.clone(), error, membrane, psi, None),)

            for got, expected in both(work):
                assert torch.equal(got.isnan(), expected.isnan())


def test_errors_in_any_order_and_type_are_read_and_left_alone() -> None:
    potentials, row = series((2, 3, 4, 6)), torch.randn(2, 3, 2, 3)
    for error in (
        row.expand(4, *row.shape),
        torch.randn(4, 2, 3, 2, 3).bfloat16(),
        series((2, 3, 2, 3))[:1].expand(4, 2, 3, 2, 3),
    ):
        kept = error.clone()
        for got, expected in both(lambda e=error: (backward(potentials.clone(), e, MEMBRANES[0], Sigmoid(), 2),)):  # type: ignore[misc]
            torch.testing.assert_close(got, expected, rtol=2e-5, atol=1e-6)
        assert torch.equal(error, kept)


@pytest.mark.parametrize("dtype", [torch.float32, *HALF], ids=str)
@pytest.mark.parametrize("membrane", MEMBRANES[:4], ids=str)
def test_a_static_drive_needs_no_potentials(dtype: torch.dtype, membrane: Membrane) -> None:
    for shape, pool in [((3, 37), None), ((2, 3, 6, 4), None), ((2, 3, 6, 4), 2)]:
        drive, weights = series(shape)[0].to(dtype), [0.5, 2.0, 1.0, 0.25, 3.0]
        found, (spikes, _, kept) = (
            static_drive.forward(drive, 5, membrane, pool),
            forward(drive, 5, membrane, None, pool),
        )
        assert found is not None
        assert torch.equal(found[0], spikes)
        assert torch.equal(found[1], kept)
        error = torch.randn_like(spikes)
        for way, through_time in ((backward, True), (backward_local, False)):
            potentials = forward(drive, 5, membrane, None, pool)[1]
            delta = way(potentials.clone(), error, membrane, Sigmoid(), pool).float()
            for factors in (weights, [1.0] * 5):
                sums = static_drive.sums(drive, error, membrane, Sigmoid(), pool, factors, through_time=through_time)
                assert sums is not None
                # Here each error is rounded before it is added, there their sum alone.
                precision = max(8 * torch.finfo(dtype).eps, 2e-6)
                for got, expected in zip(sums, (weighted_sum(delta, factors), delta.sum(0)), strict=True):
                    assert got.dtype == dtype
                    torch.testing.assert_close(got.float(), expected, rtol=precision, atol=precision)


def test_a_pool_too_wide_for_registers_is_left_to_torch() -> None:
    side = int(TRITON.widest_pool) + 1
    drive = series((1, 2, side, side))
    for got, expected in both(lambda: forward(drive.clone(), None, MEMBRANES[0], None, side)):
        assert same(got, expected)


def test_a_long_static_drive_keeps_its_potentials() -> None:
    drive = series((3, 37))[0]
    assert static_drive.forward(drive, TRITON.static_steps, MEMBRANES[0], None) is not None
    assert static_drive.forward(drive, TRITON.static_steps + 1, MEMBRANES[0], None) is None


@pytest.mark.parametrize("psi", SURROGATES, ids=str)
def test_gradients_under_every_surrogate_are_those_of_torch(psi: Surrogate) -> None:
    def gradients() -> tuple[Tensor, ...]:
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.LIF(surrogate=psi), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(64, 3)
        )
        rule = rules.bp(model)
        rule.backward(rule.forward(Static(2 * torch.rand(3, 1, 8, 8), 4)).square().mean())
        return tuple(parameter.grad for parameter in model.parameters() if parameter.grad is not None)

    for got, expected in both(gradients):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-6)


def test_a_stream_goes_on_where_it_stopped() -> None:
    drive = series((2, 3, 6, 4), steps=6).bfloat16()
    whole = forward(drive.clone(), None, MEMBRANES[0], None, None)
    early = forward(drive[:2].clone(), None, MEMBRANES[0], None, None)
    late = forward(drive[2:].clone(), None, MEMBRANES[0], early[2], None)
    assert torch.equal(torch.cat([early[0], late[0]]), whole[0])
    assert torch.equal(late[2], whole[2])


def test_what_triton_does_not_take_is_left_to_torch() -> None:
    class Flat(Surrogate):
        def gate_(self, x: Tensor, error: Tensor) -> Tensor:
            return x.copy_(error)

    error = torch.randn(4, 2, 3)
    assert torch.equal(backward_local(torch.randn(4, 2, 3), error, MEMBRANES[0], Flat(), None), error)
    for left in (
        torch.zeros(2, 3, dtype=torch.float64),
        torch.zeros(2, 3, 4)[:, :, ::2],
        torch.zeros(2, 3).requires_grad_(),
    ):
        assert gpu.scan("trace", left) is None
