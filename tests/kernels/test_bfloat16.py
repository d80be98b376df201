"""Scans of bfloat16: the numbers of float32's, rounded once, in compiled code and in torch."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from onchip import kernels
from onchip.kernels import native, static_drive
from onchip.kernels.lif import Membrane, backward, backward_local, forward, weighted_sum
from onchip.kernels.trace import trace
from onchip.learning.noise import Rademacher
from onchip.surrogate import ATan, FastSigmoid, Rectangle, Sigmoid, Surrogate, Triangle
from tests.kernels.test_compiled import MEMBRANES, SHAPES, series

KINDS: list[native.Choice] = ["native", "torch"] if native.active() == "native" else ["torch"]
each_kind = pytest.mark.parametrize("kind", KINDS)
compiled_only = pytest.mark.skipif("native" not in KINDS, reason="needs a C compiler")
EPS = torch.finfo(torch.bfloat16).eps
# Beside those of float32: a cell of more channels than a stretch has; a pool whose counts bfloat16 does not have.
MAPS = [(*shape, 2) for shape in SHAPES if len(shape) == 4] + [(1, 600, 2, 4, 2), (2, 5, 6, 9, 3), (1, 3, 17, 34, 17)]


def halves(shape: tuple[int, ...], mean: float = 0.4) -> Tensor:
    return series(shape, mean=mean).bfloat16()


def looped(drive: Tensor, membrane: Membrane, kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Spikes, potentials and the last membrane, step by step: membranes are float32, potentials rounded."""
    spikes, potentials = [], []
    for current in drive:
        u = kept * membrane.decay + current.float()
        potentials.append(u.bfloat16())
        fired = (potentials[-1].float() >= membrane.threshold).float()
        kept = u - u * fired if membrane.hard else u - membrane.threshold * fired
        spikes.append(fired)
    return torch.stack(spikes), torch.stack(potentials), kept


@each_kind
@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("rested", [False, True])
def test_neurons_are_the_loops(kind: native.Choice, hard: bool, rested: bool) -> None:
    membrane = Membrane(0.5, 1.0, hard, False)  # a decay whose products are exact, so that fusing them changes nothing
    for *shape, pool in [(3, 37, 0), (4, 700, 0), *MAPS]:
        drive = halves(tuple(shape))
        rest = torch.rand_like(drive[0].float()) if rested else None
        spikes, potentials, kept = looped(drive, membrane, torch.zeros(tuple(shape)) if rest is None else rest)
        with kernels.forced(kind):
            got = forward(drive.clone(), None, membrane, rest, None)
            assert [one.dtype for one in got] == [torch.bfloat16, torch.bfloat16, torch.float32]
            assert all(torch.equal(one, other) for one, other in zip(got, (spikes, potentials, kept), strict=True))
            if pool:
                means = F.avg_pool2d(spikes.flatten(0, 1), pool).unflatten(0, spikes.shape[:2]).bfloat16()
                pooled = forward(drive.clone(), None, membrane, rest, pool)
                assert torch.equal(pooled[0], means)
                assert torch.equal(pooled[1], potentials)
                assert torch.equal(pooled[2], kept)
        assert 0 < spikes.mean() < 1


@compiled_only
@pytest.mark.parametrize("membrane", MEMBRANES, ids=str)
def test_compiled_neurons_are_torchs(membrane: Membrane) -> None:
    for *shape, pool in MAPS:
        drive = halves(tuple(shape))
        results = []
        for kind in KINDS:
            with kernels.forced(kind):
                results.append(
                    (*forward(drive.clone(), None, membrane, None, pool), *forward(drive[0], 4, membrane, None, pool))
                )
        assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


@each_kind
@pytest.mark.parametrize(
    "psi", [Sigmoid(), Sigmoid(slope=2.5), ATan(), FastSigmoid(), Triangle(), Rectangle()], ids=str
)
def test_errors_are_those_of_float32_rounded_once(kind: native.Choice, psi: Surrogate) -> None:
    for membrane in MEMBRANES:
        for *shape, pool in [(3, 37, 0), (4, 700, 0), (2, 3, 6, 4, 2), (1, 600, 2, 4, 2), (2, 5, 6, 9, 3)]:
            potentials = halves(tuple(shape))
            grid = (*shape[:2], *(side // (pool or 1) for side in shape[2:]))
            error = halves(grid, mean=0.0)
            for way in (backward, backward_local):
                with kernels.forced("torch"):
                    exact = way(potentials.float(), error.float(), membrane, psi, pool or None)
                with kernels.forced(kind):
                    got = way(potentials.clone(), error, membrane, psi, pool or None)
                assert got.dtype == torch.bfloat16
                # Half a unit in the last place, and what compiled code saves at the exponential.
                torch.testing.assert_close(got.float(), exact, rtol=0.5 * EPS + 1e-4, atol=1e-4)


@compiled_only
@pytest.mark.parametrize("x", [0.0, 0.01, 0.3, 1.0, 2.0, 5.0, 20.0, math.inf])
def test_the_sigmoid_far_out(x: float) -> None:
    """Relative to ψ itself, however small it is."""
    potentials = torch.tensor([1.0 - x, 1.0 + x]).bfloat16().view(1, 1, 2)
    e = (-4 * (potentials.double() - 1.0).abs()).exp()
    with kernels.forced("native"):
        got = backward_local(potentials.clone(), torch.ones_like(potentials), MEMBRANES[0], Sigmoid(), None)
    torch.testing.assert_close(got.double(), 4 * e / (1 + e) ** 2, rtol=0.5 * EPS + 1e-4, atol=1e-36)


@compiled_only
@pytest.mark.parametrize("membrane", MEMBRANES, ids=str)
def test_a_static_drive_needs_no_potentials(membrane: Membrane) -> None:
    for *shape, pool in [(3, 37, 0), (4, 700, 0), (5, 8, 16, 16, 2), (2, 1100, 2, 4, 2), (2, 5, 6, 9, 3)]:
        drive, side = halves(tuple(shape))[0], pool or None
        done, (spikes, _, kept) = (
            static_drive.forward(drive, 4, membrane, side),
            forward(drive, 4, membrane, None, side),
        )
        assert done is not None
        assert torch.equal(done[0], spikes)
        assert torch.equal(done[1], kept)
        error = torch.randn_like(spikes)
        for way, through_time in ((backward, True), (backward_local, False)):
            potentials = forward(drive, 4, membrane, None, side)[1]
            delta = way(potentials.float(), error.float(), membrane, Sigmoid(), side)
            for weights in ([0.5, 2.0, 1.0, 0.25], [1.0] * 4):
                found = static_drive.sums(drive, error, membrane, Sigmoid(), side, weights, through_time=through_time)
                assert found is not None
                for got, expected in zip(found, (weighted_sum(delta, weights), delta.sum(0)), strict=True):
                    assert got.dtype == torch.bfloat16
                    torch.testing.assert_close(got.float(), expected, rtol=0.5 * EPS + 2e-4, atol=1e-3)


@each_kind
@pytest.mark.parametrize("started", [False, True])
def test_traces_and_sums_are_those_of_float32_rounded_once(kind: native.Choice, started: bool) -> None:
    with kernels.forced(kind):
        for shape in SHAPES:
            signal, before = halves(shape), halves(shape)[0] if started else None
            exact = trace(signal.float(), 0.9, None if before is None else before.float())
            assert torch.equal(trace(signal, 0.9, before), exact.bfloat16())
            weights = [0.3, 0.5, 0.7, 1.1]
            assert torch.equal(weighted_sum(signal, weights), weighted_sum(signal.float(), weights).bfloat16())


@each_kind
def test_random_signs_are_those_of_float32(kind: native.Choice) -> None:
    drawn = []
    for dtype in (torch.float32, torch.bfloat16):
        torch.manual_seed(0)
        with kernels.forced(kind):
            drawn.append(Rademacher()(torch.empty(3, 5, 7, dtype=dtype)))
    assert drawn[1].dtype == torch.bfloat16
    assert torch.equal(drawn[0], drawn[1].float())


@each_kind
def test_nan_comes_through(kind: native.Choice) -> None:
    drive = halves((2, 8, 4, 4))
    drive[1, 0, 3, 1, 2] = math.nan
    with kernels.forced(kind):
        _, potentials, kept = forward(drive, None, MEMBRANES[0], None, 2)
        assert potentials.isnan().sum() == 3
        assert kept.isnan().sum() == 1
        error = torch.ones_like(potentials)
        assert backward(potentials, error, MEMBRANES[0], Sigmoid(), None)[:, 0, 3, 1, 2].isnan().all()


def test_which_scans_take_it() -> None:
    drive = torch.zeros(2, 3, 4, dtype=torch.bfloat16)
    assert (native.scan("onchip_forward", drive) is None) == ("native" not in KINDS)
    assert native.scan("onchip_phase", drive) is None
