"""Units that send their potential: compiled as in torch, a step at a time as all at once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from onchip.kernels import native
from onchip.kernels.integrate import integrate_, integrate_adjoint
from onchip.nn.neurons.potential import Integrated


def series(*shape: int) -> Tensor:
    return torch.randn(9, *shape) * 0.5 + 0.3


@pytest.mark.parametrize("shape", [(7,), (3, 2000), (2, 3, 8, 8)])
def test_compiled_and_torch_agree_bit_for_bit(shape: tuple[int, ...]) -> None:
    if native.active() != "native":
        pytest.skip("no compiled kernels here")
    drive, sums, left, error = series(*shape), torch.randn(shape), torch.rand(shape), series(*shape)
    found = []
    for kernels in ("native", "torch"):
        states = sums.clone(), left.clone()
        with native.forced(kernels):
            sent, inside, sending = integrate_(drive.clone(), *states, 3.0)
            found.append((sent, inside, sending, *states, Integrated().through_time(error, sending)))
            assert (integrate_adjoint(error, sending) is None) == (kernels == "torch")
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
    for gate in found[0][1:3]:
        assert 0 < gate.sum() < gate.numel(), "which else compares nothing"


@pytest.mark.parametrize("kernels", ["auto", "torch"])
def test_two_halves_are_the_whole(kernels: native.Choice) -> None:
    drive, states, halves = series(5, 6), (torch.zeros(5, 6), torch.zeros(5, 6)), (torch.zeros(5, 6), torch.zeros(5, 6))
    with native.forced(kernels):
        whole = integrate_(drive.clone(), *states, 0.0)
        parts = [integrate_(part.clone(), *halves, begun) for part, begun in ((drive[:4], 0.0), (drive[4:], 4.0))]
    for one, others in zip(whole, zip(*parts, strict=True), strict=True):
        assert torch.equal(one, torch.cat(others))
    assert all(torch.equal(one, other) for one, other in zip(states, halves, strict=True))


def test_maps_in_channels_last_order_keep_it() -> None:
    drive = series(2, 3, 6, 6).flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (9, 2))
    found = integrate_(drive.clone(), torch.zeros_like(drive[0]), torch.zeros_like(drive[0]), 0.0)
    plain = integrate_(drive.contiguous(), torch.zeros(2, 3, 6, 6), torch.zeros(2, 3, 6, 6), 0.0)
    for one, other in zip(found, plain, strict=True):
        assert torch.equal(one, other)
        assert one[0].is_contiguous(memory_format=torch.channels_last)
    error = torch.randn(9, 2, 3, 6, 6)  # of another order than the gates
    assert torch.equal(Integrated().through_time(error, found[2]), Integrated().through_time(error, plain[2]))


@pytest.mark.parametrize("kernels", ["auto", "torch"])
def test_a_drive_that_is_no_number_stays_visible(kernels: native.Choice) -> None:
    drive = series(4)
    drive[2, 1] = float("nan")
    with native.forced(kernels):
        sent, _, _ = integrate_(drive, torch.zeros(4), torch.zeros(4), 0.0)
    assert sent[2:, 1].isnan().all()
    assert not sent[:2].isnan().any()
