"""Scans of neurons with an adaptive threshold: C against torch, and torch against a loop written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from onchip import kernels, surrogate
from onchip.kernels.alif import Adaptive, StepBack, backward, forward
from onchip.kernels.lif import Membrane
from onchip.kernels.trace import trace, trace_adjoint_
from onchip.surrogate import Sigmoid, Surrogate
from tests.kernels.test_compiled import SHAPES, SURROGATES, both, same, series

native = pytest.mark.skipif(kernels.active() != "native", reason="needs a C compiler")
CELLS = [
    Adaptive(Membrane(decay, threshold, hard, detach), 0.4, 0.85)
    for hard in (False, True)
    for detach in (False, True)
    for decay, threshold in ((0.5, 1.0), (0.9, 0.7))
]


@pytest.mark.parametrize("rested", [False, True])
@pytest.mark.parametrize("cell", CELLS[::2], ids=str)
def test_a_scan_is_the_loop(cell: Adaptive, rested: bool) -> None:
    drive = torch.randn(6, 3, 5, dtype=torch.float64) + 0.5
    v, a = (torch.rand(3, 5, dtype=torch.float64) if rested else torch.zeros(3, 5).double() for _ in range(2))
    given = (v.clone(), a.clone()) if rested else (None, None)
    scan = forward(drive.clone(), cell, *given, potentials=True, adaptations=True)
    assert scan.potentials is not None
    assert scan.adaptations is not None
    for t, current in enumerate(drive):
        u = 0.5 * v + current
        torch.testing.assert_close(scan.adaptations[t], a, rtol=1e-14, atol=1e-14)
        torch.testing.assert_close(scan.potentials[t], u, rtol=1e-14, atol=1e-14)
        torch.testing.assert_close(scan.distances[t], u - 0.4 * a, rtol=1e-14, atol=1e-14)
        s = (u >= 1.0 + 0.4 * a).double()
        assert torch.equal(scan.spikes[t], s)
        v = u * (1 - s) if cell.membrane.hard else u - s
        a = 0.85 * a + s
    torch.testing.assert_close(scan.membrane, v, rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(scan.adaptation, a, rtol=1e-14, atol=1e-14)
    assert 0 < scan.spikes.mean() < 1
    if rested:
        assert not any(torch.equal(one, other) for one, other in zip(given, (v, a), strict=True))  # type: ignore[arg-type]


@native
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("cell", CELLS, ids=str)
@pytest.mark.parametrize("rested", [False, True])
def test_neurons_fire_bit_for_bit(shape: tuple[int, ...], cell: Adaptive, rested: bool) -> None:
    drive, states = series(shape), [torch.rand(shape) if rested else None for _ in range(2)]
    kept = [None if state is None else state.clone() for state in states]
    for everything in (False, True):

        def work(everything: bool = everything) -> tuple[Tensor, ...]:
            scan = forward(drive.clone(), cell, *states, potentials=everything, adaptations=everything)
            assert (scan.potentials is None) == (scan.adaptations is None) != everything
            return tuple(tensor for tensor in vars(scan).values() if tensor is not None)

        compiled, expected = both(work)
        for got, wanted in zip(compiled, expected, strict=True):
            assert got.stride() == wanted.stride()
            assert same(got, wanted)
        assert 0 < compiled[0].mean() < 1 or compiled[0].numel() < 100
    for state, before in zip(states, kept, strict=True):
        assert state is None or before is None or torch.equal(state, before)


@native
@pytest.mark.parametrize("psi", SURROGATES, ids=str)
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_errors_agree(psi: Surrogate, cell: Adaptive) -> None:
    """All steps at once, and one after the other, with errors that lie in another order."""
    for shape in SHAPES:
        scan = forward(series(shape), cell, None, None, potentials=True, adaptations=False)
        error, potentials = series(shape, mean=0.0), scan.potentials
        assert potentials is not None
        hard = potentials if cell.membrane.hard and not cell.membrane.detach_reset else None

        def work(
            distances: Tensor = scan.distances, hard: Tensor | None = hard, error: Tensor = error
        ) -> tuple[Tensor, ...]:
            whole = backward(distances.clone(), hard, error.contiguous(), cell, psi)
            steps, back, adaptation = distances.clone(), StepBack(cell, psi), []
            for t in range(len(steps) - 1, -1, -1):
                back(steps[t], None if hard is None else hard[t], error[t])
                assert back.error_at_adaptation is not None
                adaptation.append(back.error_at_adaptation.clone())
            return whole, steps, *adaptation

        for got, expected in zip(*both(work), strict=True):
            torch.testing.assert_close(got, expected, rtol=2e-5, atol=1e-5)
            assert bool(expected.any()) or expected.numel() < 100


@native
def test_an_expanded_error_is_only_read() -> None:
    cell, row = CELLS[0], torch.randn(3, 7)
    scan = forward(series((3, 7), steps=5), cell, None, None, potentials=False, adaptations=False)
    expected = backward(scan.distances.clone(), None, row.repeat(5, 1, 1), cell, Sigmoid())
    kept = row.clone()
    assert torch.equal(backward(scan.distances, None, row.expand(5, 3, 7), cell, Sigmoid()), expected)
    assert torch.equal(row, kept)


def test_unknown_surrogates_and_decays_of_each_neuron_are_torchs() -> None:
    class Own(surrogate.Surrogate):
        def gate_(self, x: Tensor, error: Tensor) -> Tensor:
            return x.fill_(0.5).mul_(error)

    cell = Adaptive(Membrane(torch.full((7,), 0.5), 1.0, False, False), 0.4, torch.full((7,), 0.85))
    drive, error = series((3, 7), steps=5), torch.randn(5, 3, 7)
    outcomes = []
    for constants in (cell, CELLS[0]):
        scan = forward(drive.clone(), constants, None, None, potentials=False, adaptations=False)
        outcomes.append((scan.spikes, backward(scan.distances, None, error, constants, Own())))
    for got, expected in zip(*outcomes, strict=True):
        torch.testing.assert_close(got, expected)


@native
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("steps", [1, 4])
def test_the_adjoint_of_a_trace_is_the_trace_in_reverse(shape: tuple[int, ...], steps: int) -> None:
    error = series(shape, steps, mean=0.0)
    compiled, expected = both(lambda: (trace_adjoint_(error.clone(), 0.8),))
    assert same(compiled[0], expected[0])
    torch.testing.assert_close(compiled[0], trace(error.flip(0), 0.8).flip(0))


@native
def test_nan_comes_through() -> None:
    drive = torch.ones(3, 1, 24)
    drive[0, 0, 0] = math.nan
    scan = forward(drive, CELLS[0], None, None, potentials=False, adaptations=False)
    assert scan.membrane.isnan().nonzero().tolist() == [[0, 0]]
    delta = backward(scan.distances, None, torch.ones(3, 1, 24), CELLS[0], Sigmoid())
    assert delta.isnan().any(0).nonzero().tolist() == [[0, 0]]
