"""Neurons under a static drive: spikes bit for bit those of `lif`, sums of errors to rounding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from onchip import Static, kernels, nn, rules
from onchip.kernels import lif, static_drive
from onchip.kernels.lif import Membrane
from onchip.kernels.table import NATIVE, compiled
from onchip.nn.neurons.base import SavedTensors
from onchip.surrogate import Sigmoid, Surrogate, Triangle
from tests.kernels.test_compiled import MEMBRANES, SHAPES, SURROGATES

pytestmark = pytest.mark.skipif(kernels.active() != "native", reason="needs a C compiler")

COMPILED = [each for each in SURROGATES if compiled(each) is not None]


def drive_of(shape: tuple[int, ...]) -> Tensor:
    drawn = torch.randn(shape) + 0.4
    return drawn.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else drawn


def written_out(
    drive: Tensor, error: Tensor, membrane: Membrane, psi: Surrogate, pool: int | None, *, through_time: bool
) -> Tensor:
    """The errors of each step (T, B, ...), as `lif` makes them."""
    potentials = lif.forward(drive, len(error), membrane, None, pool)[1]
    return (lif.backward if through_time else lif.backward_local)(potentials, error, membrane, psi, pool)


def pools(shape: tuple[int, ...]) -> list[int | None]:
    return [None, 2] if len(shape) == 4 and not (shape[2] % 2 or shape[3] % 2) else [None]


@pytest.mark.parametrize("steps", [2, 6, 255])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("membrane", MEMBRANES)
def test_equals_the_neurons_that_keep_their_potentials(shape: tuple[int, ...], membrane: Membrane, steps: int) -> None:
    for pool in pools(shape):
        drive = drive_of(shape)
        found = static_drive.forward(drive, steps, membrane, pool)
        spikes, _, kept = lif.forward(drive, steps, membrane, None, pool)
        assert found is not None
        assert torch.equal(found[0], spikes)
        assert torch.equal(found[1], kept)
        error, weights = torch.randn_like(spikes), torch.rand(steps).tolist()
        for through_time in (True, False):
            delta = written_out(drive, error, membrane, Sigmoid(), pool, through_time=through_time)
            sums = static_drive.sums(drive, error, membrane, Sigmoid(), pool, weights, through_time=through_time)
            assert sums is not None
            slack = 1e-6 * (10 + steps)  # rounding of sums of T errors of size 1
            torch.testing.assert_close(sums[0], lif.weighted_sum(delta, weights), rtol=1e-5, atol=slack)
            torch.testing.assert_close(sums[1], delta.sum(0), rtol=1e-5, atol=slack)
            alone = static_drive.sums(drive, error, membrane, Sigmoid(), pool, [1.0] * steps, through_time=through_time)
            assert alone is not None
            assert alone[0] is alone[1]
            torch.testing.assert_close(alone[0], delta.sum(0), rtol=1e-5, atol=slack)


@pytest.mark.parametrize("psi", COMPILED, ids=repr)
@pytest.mark.parametrize("through_time", [True, False])
def test_every_surrogate(psi: Surrogate, through_time: bool) -> None:
    drive, error = drive_of((5, 8, 16, 16)), torch.randn(4, 5, 8, 16, 16)  # not in channels_last order: copied
    for membrane in MEMBRANES:
        delta = written_out(drive, error, membrane, psi, None, through_time=through_time)
        sums = static_drive.sums(drive, error, membrane, psi, None, [1.0, 2.0, 0.5, 3.0], through_time=through_time)
        assert sums is not None
        torch.testing.assert_close(sums[0], lif.weighted_sum(delta, [1.0, 2.0, 0.5, 3.0]), rtol=1e-5, atol=1e-5)


def test_is_left_to_others_where_it_cannot_be_done() -> None:
    drive, membrane = drive_of((3, 8)), MEMBRANES[0]
    error = torch.randn(NATIVE.static_steps + 1, 3, 8)
    assert static_drive.forward(drive, 1, membrane, None) is None, "nothing would be saved"
    assert static_drive.forward(drive, NATIVE.static_steps + 1, membrane, None) is None
    assert static_drive.sums(drive, error, membrane, Sigmoid(), None, [1.0] * len(error), through_time=True) is None
    assert static_drive.forward(drive.double(), 4, membrane, None) is None
    with kernels.forced("torch"):
        assert static_drive.forward(drive, 4, membrane, None) is None


def test_a_tape_without_potentials_gives_the_errors_of_each_step_too() -> None:
    neuron, drive, error = nn.LIF(surrogate=Triangle()), drive_of((3, 8)), torch.randn(6, 3, 8)
    for through_time in (True, False):
        _, tape, _ = neuron.run(Static(drive, 6), None, None)
        assert "potentials" not in tape.values
        delta = neuron.backward_through_time(error, tape) if through_time else neuron.backward_local(error, tape)
        wanted = written_out(drive, error, neuron.membrane(), Triangle(), None, through_time=through_time)
        assert torch.equal(delta, wanted)
        assert tape.values == SavedTensors().values


@pytest.mark.parametrize("rule", ["bp", "ottt", "dfa"])
def test_gradients_are_those_of_torch_kernels(rule: str) -> None:
    def gradients() -> list[Tensor]:
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.LIF(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8 * 16, 5)
        )
        made = getattr(rules, rule)(network)
        made.backward(made.forward(Static(3 * torch.rand(4, 1, 8, 8), 5)).square().mean())
        return [parameter.grad for parameter in network.parameters() if parameter.grad is not None]

    ours = gradients()
    with kernels.forced("torch"):
        wanted = gradients()
    assert all(float(gradient.abs().max()) > 0 for gradient in wanted)
    torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-6)


def test_memory_does_not_grow_with_time_but_for_the_spikes() -> None:
    """The drive that is kept is one step, seen T times."""
    _, tape, _ = nn.LIF().run(Static(drive_of((4, 64)), 100), None, None)
    assert sum(value.untyped_storage().nbytes() for value in tape.values.values()) == 4 * 4 * 64


def test_the_number_of_threads_changes_nothing() -> None:
    drive, error, threads = drive_of((9, 8, 16, 16)), torch.randn(4, 9, 8, 16, 16), torch.get_num_threads()

    def results() -> list[Tensor]:
        found = static_drive.forward(drive, 4, MEMBRANES[0], None)
        sums = static_drive.sums(drive, error, MEMBRANES[0], Sigmoid(), None, [1.0, 2.0, 0.5, 3.0], through_time=True)
        assert found is not None
        assert sums is not None
        return [*found, *sums]

    alone = results()
    torch.set_num_threads(2)
    try:
        together = results()
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, two) for one, two in zip(alone, together, strict=True))
