"""Maps by their lowest spatial frequencies: a coarse grid of numbers instead of one number per pixel.

A grid of h x w coefficients is the low end of the maps' orthonormal cosine transform. Feedback stored on it takes
h·w / (H·W) of the memory; noise drawn on it is smooth, and its power per neuron is smaller by the same factor.
"""

import functools
import math

import torch
from torch import Tensor

from onchip.errors import RequestError


def coarse(features: torch.Size, side: int | None) -> torch.Size:
    """Shape of features on a grid of at most side x side: (C, H, W) -> (C, h, w); unchanged otherwise.

    Raises:
        RequestError: The grid is larger than the maps, and would change nothing.
    """
    if side is None or len(features) != 3:
        return features
    channels, height, width = features
    if side > max(height, width):
        raise RequestError(
            f"got grid={side} for feature maps of {height}x{width}; expected at most {max(height, width)}, "
            "the side of the smallest maps that receive an error"
        )
    return torch.Size((channels, min(height, side), min(width, side)))


def to_grid(maps: Tensor, size: torch.Size) -> Tensor:
    """Coefficients (..., C, h, w) of maps (..., C, H, W), for a shape (C, h, w)."""
    return _turned(maps, size, up=False)


def from_grid(coefficients: Tensor, features: torch.Size) -> Tensor:
    """Maps (..., C, H, W) with only these coefficients (..., C, h, w): the adjoint of `to_grid`."""
    return _turned(coefficients, features, up=True)


def _turned(maps: Tensor, size: torch.Size, *, up: bool) -> Tensor:
    (height, width), channels = maps.shape[-2:], maps.shape[-3]
    rows = maps.movedim(-3, -1)  # the order of convolutions, so that nothing is copied
    if height != size[-2]:
        basis = _basis(height, size[-2], up, maps.dtype, maps.device)
        rows = (basis @ rows.reshape(-1, height, width * channels)).view(*rows.shape[:-3], size[-2], width, channels)
    if width != size[-1]:
        rows = _basis(width, size[-1], up, maps.dtype, maps.device) @ rows
    return rows.movedim(-1, -3)


@functools.cache
def _basis(old: int, new: int, up: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Cosines (new, old) that transform pixels into frequencies, or back."""
    pixels, frequencies = (new, old) if up else (old, new)
    places = (torch.arange(pixels, dtype=torch.float64) + 0.5) * (math.pi / pixels)
    cosines = torch.cos(torch.arange(frequencies).unsqueeze(1) * places) * math.sqrt(2.0 / pixels)
    cosines[0] *= math.sqrt(0.5)
    return (cosines.t() if up else cosines).to(device, dtype).contiguous()
