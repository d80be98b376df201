"""Noise has zero mean and unit variance, its entries are independent, and it lies in memory as the activity."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from onchip import kernels
from onchip.learning.noise import Gaussian, Noise, Rademacher, Sphere

every = pytest.mark.parametrize("noise", [Gaussian(), Rademacher(), Sphere()])

FLAT = torch.zeros(3, 5, 7)
MAPS = torch.zeros(15, 4, 3, 3).contiguous(memory_format=torch.channels_last).unflatten(0, (3, 5))
SPREAD = torch.zeros(3, 5, 14)[:, :, ::2]


@every
@pytest.mark.parametrize("like", [FLAT, MAPS, SPREAD], ids=["flat", "maps", "spread"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_like_the_activity(noise: Noise, like: Tensor, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    drawn = noise(like.to(dtype))
    assert drawn.shape == like.shape
    assert drawn.dtype == dtype
    assert drawn.stride() == torch.empty_like(like).stride()
    torch.manual_seed(0)
    assert torch.equal(noise(like.to(dtype)), drawn)
    assert not torch.equal(noise(like.to(dtype)), drawn)


@every
def test_entries_are_independent_with_zero_mean_and_unit_variance(noise: Noise) -> None:
    torch.manual_seed(0)
    samples = noise(torch.zeros(200, 200, 20)).flatten(0, 1)  # (40,000, 20)
    assert float(samples.mean(0).abs().max()) < 0.03
    covariance = samples.t() @ samples / len(samples)
    assert float((covariance - torch.eye(20)).abs().max()) < 0.03
    later = samples[1:].t() @ samples[:-1] / len(samples)
    assert float(later.abs().max()) < 0.03


def test_signs_are_signs_and_directions_have_one_length() -> None:
    for like in (torch.zeros(1, 1, 1), torch.zeros(1, 1, 64), torch.zeros(2, 3, 5)):
        assert torch.equal(Rademacher()(like).abs(), torch.ones_like(like))
    torch.testing.assert_close(Sphere()(MAPS).square().sum((2, 3, 4)), torch.full((3, 5), 36.0))


@pytest.mark.skipif(kernels.active() != "native", reason="needs a C compiler")
@pytest.mark.parametrize("size", [1, 7, 8, 63, 64, 300_001])
def test_compiled_signs_are_torchs(size: int) -> None:
    like = torch.zeros(1, 1, size)
    torch.manual_seed(0)
    drawn = Rademacher()(like)
    torch.manual_seed(0)
    with kernels.forced("torch"):
        assert torch.equal(Rademacher()(like), drawn)
