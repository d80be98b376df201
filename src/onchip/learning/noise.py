"""Noise that probes a network: independent entries of zero mean and unit variance.

It is drawn flat and then viewed in the activity's memory order, because torch draws 8 times more slowly into a tensor
in a convolution's memory order.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from onchip.errors import RequestError
from onchip.kernels import native


class Noise(ABC):
    """Draws noise from torch's global generator."""

    @abstractmethod
    def __call__(self, like: Tensor) -> Tensor:
        """Noise of the shape (T, B, features...), layout, type and device of a tensor."""


@dataclass(frozen=True)
class Gaussian(Noise):
    """Normal noise. Reference: Xiao et al. 2024 (OPZO, arXiv 2407.12516)."""

    def __call__(self, like: Tensor) -> Tensor:
        return _laid_out(torch.randn(like.numel(), dtype=like.dtype, device=like.device), like)


@dataclass(frozen=True)
class Rademacher(Noise):
    """-1 or 1 with equal chance: one random bit per neuron. Reference: Spall 1992 (SPSA)."""

    def __call__(self, like: Tensor) -> Tensor:
        # 64 bits per draw, and a table of the signs of 8 bits: 20 times as fast as one draw per entry.
        words = torch.empty(like.numel() // 64 + 1, dtype=torch.int64, device=like.device).random_(-(2**63), None)
        drawn = like.new_empty(like.numel())  # contiguous, whatever the memory order of `like`
        scan = native.scan("onchip_signs", drawn.unsqueeze(0))
        if scan is not None:
            scan(words.data_ptr(), drawn.data_ptr(), drawn.numel())
            return _laid_out(drawn, like)
        octets = words.view(torch.uint8)[: like.numel() // 8 + 1].int()
        bits = torch.arange(256, device=like.device).unsqueeze(1) >> torch.arange(8, device=like.device) & 1
        signs = (2 * bits - 1).to(like.dtype)  # (256, 8)
        return _laid_out(signs.index_select(0, octets).flatten()[: like.numel()], like)


@dataclass(frozen=True)
class Sphere(Noise):
    """Directions on the unit sphere of a layer's n neurons, times √n. Reference: Xiao et al. 2024 (OPZO)."""

    def __call__(self, like: Tensor) -> Tensor:
        noise = _laid_out(torch.randn(like.numel(), dtype=like.dtype, device=like.device), like)
        features = tuple(range(2, like.dim()))
        units = math.prod(like.shape[2:])
        return noise.mul_(math.sqrt(units) / noise.square().sum(features, keepdim=True).sqrt())


@dataclass(frozen=True)
class Added:
    """Adds noise to a layer's input; errors pass as if there were none.

    Args:
        noise: Distribution of the noise.
        scale: α, standard deviation of the noise, above 0.

    Raises:
        RequestError: The scale is out of range.
    """

    noise: Noise
    scale: float

    def __post_init__(self) -> None:
        if not 0.0 < self.scale < math.inf:
            raise RequestError(f"noise got scale={self.scale}; expected a standard deviation above 0")

    def __call__(self, activity: Tensor) -> Tensor:
        """The noisy activity, (T, B, features...)."""
        return activity.add(self.noise(activity), alpha=self.scale)


def _laid_out(drawn: Tensor, like: Tensor) -> Tensor:
    """View of flat draws (n,) with the shape and the memory order of another tensor."""
    return drawn.as_strided(like.shape, torch.empty_like(like, device="meta").stride())
