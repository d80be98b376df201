"""Random-phase trains: compiled as in torch, a step at a time as all at once."""

from __future__ import annotations

import pytest
import torch

from onchip.kernels import native
from onchip.kernels.phase import phase


@pytest.mark.parametrize("shape", [(7,), (3, 2000), (2, 3, 8, 8)])
@pytest.mark.parametrize("static", [False, True])
def test_compiled_and_torch_agree_bit_for_bit(shape: tuple[int, ...], static: bool) -> None:
    if native.active() != "native":
        pytest.skip("no compiled kernels here")
    numbers = torch.rand(shape if static else (9, *shape)) * 2 - 1
    begin = torch.rand(shape)
    found = []
    for kernels in ("native", "torch"):
        with native.forced(kernels):
            found.append(phase(numbers.clone(), begin.clone(), 9 if static else None))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
    assert set(found[0][0].unique().tolist()) == {-1.0, 0.0, 1.0}


@pytest.mark.parametrize("kernels", ["auto", "torch"])
def test_one_number_held_is_the_number_at_every_step(kernels: native.Choice) -> None:
    number, begin = torch.rand(5, 6) * 2 - 1, torch.rand(5, 6)
    with native.forced(kernels):
        static, kept = phase(number.clone(), begin.clone(), 12)
        written, end = phase(number.expand(12, 5, 6).clone(), begin.clone())
    assert torch.equal(static, written)
    assert torch.equal(kept, end)


def test_maps_in_channels_last_order_keep_it() -> None:
    numbers = torch.rand(4, 2, 3, 6, 6).flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (4, 2))
    begin = torch.rand_like(numbers[0])
    spikes, _ = phase(numbers.clone(), begin.clone())
    plain, _ = phase(numbers.contiguous(), begin.contiguous())
    assert torch.equal(spikes, plain)
    assert spikes[0].is_contiguous(memory_format=torch.channels_last)
