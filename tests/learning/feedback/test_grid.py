"""The coarse grid: an orthonormal cosine transform, cut off above its lowest frequencies."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from onchip.learning.feedback.grid import coarse, from_grid, to_grid


def maps(height: int, width: int, *leading: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*leading, 3, height, width, generator=generator, dtype=torch.float64)


def test_coefficients_are_those_of_the_definition() -> None:
    """Ahmed, Natarajan, Rao 1974: sums of cosines, written out."""
    image, size = maps(5, 6), torch.Size((3, 2, 4))
    expected = torch.zeros(size, dtype=torch.float64)
    for u, v, y, x in product(range(2), range(4), range(5), range(6)):
        scale = math.sqrt((1 if u == 0 else 2) / 5 * (1 if v == 0 else 2) / 6)
        wave = math.cos(math.pi * (y + 0.5) * u / 5) * math.cos(math.pi * (x + 0.5) * v / 6)
        expected[:, u, v] += scale * wave * image[:, y, x]
    torch.testing.assert_close(to_grid(image, size), expected)


@pytest.mark.parametrize("leading", [(), (4,), (2, 4)])
def test_back_and_forth_is_the_identity_and_all_frequencies_are_the_maps(leading: tuple[int, ...]) -> None:
    coefficients, features = maps(3, 4, *leading), torch.Size((3, 7, 9))
    spread = from_grid(coefficients, features)
    assert spread.shape == (*leading, *features)
    torch.testing.assert_close(to_grid(spread, torch.Size((3, 3, 4))), coefficients)
    full = maps(7, 9, *leading)
    torch.testing.assert_close(to_grid(full, features).square().sum(), full.square().sum())


def test_one_is_the_adjoint_of_the_other() -> None:
    full, part = maps(7, 9, 2), maps(4, 3, 2)
    down, up = to_grid(full, part.shape[1:]), from_grid(part, full.shape[1:])
    torch.testing.assert_close((down * part).sum(), (full * up).sum())


def test_smooth_noise_is_that_much_weaker() -> None:
    noise = from_grid(torch.randn(200, 3, 4, 4, generator=torch.Generator().manual_seed(0)), torch.Size((3, 16, 16)))
    assert noise.var().item() == pytest.approx((4 * 4) / (16 * 16), rel=0.1)


def test_only_maps_larger_than_the_grid_are_brought_to_it() -> None:
    assert coarse(torch.Size((8, 14, 5)), 7) == (8, 7, 5)
    assert coarse(torch.Size((100,)), 7) == (100,)
    assert coarse(torch.Size((8, 14, 14)), None) == (8, 14, 14)
