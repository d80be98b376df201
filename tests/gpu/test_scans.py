"""Triton's kernels on a GPU against compiled code or torch on the CPU, which get the same numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from onchip import kernels
from onchip.kernels import static_drive
from onchip.kernels.lif import Membrane, backward, backward_local, forward, weighted_sum
from onchip.kernels.trace import trace
from onchip.surrogate import Sigmoid, Surrogate
from tests.kernels.test_compiled import MEMBRANES, SURROGATES, series

SHAPES = [(1, 1), (3, 37), (4, 70_000), (2, 3, 6, 4), (5, 8, 16, 16), (2, 40, 4, 60), (2, 5, 12, 12)]
TYPES = [torch.float32, torch.bfloat16, torch.float16]
GPU = torch.device("cuda")

Work = Callable[[Callable[[Tensor], Tensor]], tuple[Tensor, ...]]


def both(work: Work) -> list[tuple[Tensor, Tensor]]:
    """What Triton makes on the GPU, moved, and what the CPU makes; `work` moves its operands by what it is given."""
    with kernels.forced("triton"):
        there = work(lambda operand: operand.to(GPU, copy=True))
    here = work(lambda operand: operand.clone())
    assert all(tensor.device.type == GPU.type for tensor in there)
    return [(got.cpu(), wanted) for got, wanted in zip(there, here, strict=True)]


def pools(shape: tuple[int, ...]) -> list[int | None]:
    fitting = [pool for pool in (1, 2, 3) if len(shape) == 4 and shape[2] % pool == shape[3] % pool == 0]
    return [None, *fitting]


def test_triton_runs_here() -> None:
    with kernels.forced("auto"):
        assert kernels.active(GPU) == "triton"


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("membrane", MEMBRANES, ids=str)
def test_spikes_and_potentials_are_the_cpus_bit_for_bit(shape: tuple[int, ...], membrane: Membrane) -> None:
    drive, rest = series(shape), torch.rand_like(series(shape)[0])
    for pool in pools(shape):
        for one in (False, True):
            for start in (None, rest):

                def work(
                    move: Callable[[Tensor], Tensor],
                    pool: int | None = pool,
                    one: bool = one,
                    start: Tensor | None = start,
                ) -> tuple[Tensor, ...]:
                    begun = None if start is None else move(start)
                    return forward(move(drive[0] if one else drive), 4 if one else None, membrane, begun, pool)

                for got, wanted in both(work):
                    assert got.stride() == wanted.stride()
                    assert torch.equal(got, wanted)


@pytest.mark.parametrize("psi", SURROGATES, ids=str)
@pytest.mark.parametrize("membrane", MEMBRANES, ids=str)
def test_errors_agree(psi: Surrogate, membrane: Membrane) -> None:
    for shape in SHAPES:
        potentials = series(shape)
        for pool in pools(shape):
            grid = shape if pool is None else (*shape[:2], shape[2] // pool, shape[3] // pool)
            error = series(grid, mean=0.0)

            def work(
                move: Callable[[Tensor], Tensor],
                potentials: Tensor = potentials,
                error: Tensor = error,
                pool: int | None = pool,
            ) -> tuple[Tensor, ...]:
                ways = backward, backward_local
                return tuple(way(move(potentials), move(error), membrane, psi, pool) for way in ways)

            for got, wanted in both(work):
                torch.testing.assert_close(got, wanted, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_traces_and_sums_agree(dtype: torch.dtype) -> None:
    """The CPU's are float32; the GPU's too, until they are stored."""
    weights, eps = [0.3, 0.5, 0.7, 1.1], max(torch.finfo(dtype).eps, 1e-6)
    for shape in SHAPES:
        signal, before = series(shape).to(dtype), torch.rand_like(series(shape)[0]).to(dtype)
        with kernels.forced("triton"):
            x, a = signal.to(GPU), before.to(GPU)
            there = trace(x, 0.9), trace(x, 0.9, a), weighted_sum(x, weights)
        x, a = signal.float(), before.float()
        here = trace(x, 0.9), trace(x, 0.9, a), weighted_sum(x, weights)
        for got, wanted in zip(there, here, strict=True):
            assert got.dtype == dtype
            torch.testing.assert_close(got.cpu().float(), wanted, rtol=eps, atol=eps)


@pytest.mark.parametrize("dtype", TYPES[1:], ids=str)
def test_half_precision_is_rounded_where_it_is_stored(dtype: torch.dtype) -> None:
    with kernels.forced("triton"):
        for shape in SHAPES:
            drive, error = series(shape).to(dtype).to(GPU), series(shape, mean=0.0).to(dtype).to(GPU)
            for membrane in MEMBRANES:
                delta = backward(drive.float(), error.float(), membrane, Sigmoid(), None)
                assert torch.equal(backward(drive.clone(), error, membrane, Sigmoid(), None), delta.to(dtype))
                spikes, potentials, last = forward(drive.clone(), None, membrane, None, None)
                kept, decay = torch.zeros_like(last), torch.tensor(membrane.decay, device=GPU).double()
                for current, spike, potential in zip(drive, spikes, potentials, strict=True):
                    u = (current.double() + decay * kept.double()).float()
                    assert torch.equal(potential, u.to(dtype))
                    assert torch.equal(spike, (potential.float() >= membrane.threshold).to(dtype))
                    kept = membrane.reset(u, spike.float())
                assert torch.equal(last, kept)


@pytest.mark.parametrize("membrane", MEMBRANES, ids=str)
def test_sums_under_a_held_drive_agree(membrane: Membrane) -> None:
    weights = [0.3, 0.5, 0.7, 1.1]
    for shape in SHAPES:
        for pool in pools(shape):
            drive = series(shape)[0]
            error = torch.randn_like(forward(drive, 4, membrane, None, pool)[0])

            def work(
                move: Callable[[Tensor], Tensor],
                drive: Tensor = drive,
                error: Tensor = error,
                pool: int | None = pool,
            ) -> tuple[Tensor, ...]:
                fired = static_drive.forward(move(drive), 4, membrane, pool)
                sums = static_drive.sums(
                    move(drive), move(error), membrane, Sigmoid(), pool, weights, through_time=True
                )
                assert fired is not None
                assert sums is not None
                return *fired, *sums

            for got, wanted in both(work):
                torch.testing.assert_close(got, wanted, rtol=2e-5, atol=1e-5)
