"""Noise that probes a network: independent entries of zero mean and unit variance."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Gaussian", "Noise", "Rademacher", "Sphere"]


class Noise(ABC):
    """Draws noise from torch's global generator."""

    @abstractmethod
    def __call__(self, like: Tensor) -> Tensor:
        """Noise of the shape (T, B, features...), layout, type and device of a tensor."""


@dataclass(frozen=True)
class Gaussian(Noise):
    """Normal noise. Reference: Xiao et al. 2024 (OPZO, arXiv 2407.12516)."""

    def __call__(self, like: Tensor) -> Tensor:
        return torch.randn_like(like)


@dataclass(frozen=True)
class Rademacher(Noise):
    """-1 or 1 with equal chance: one random bit a neuron. Reference: Spall 1992 (SPSA)."""

    def __call__(self, like: Tensor) -> Tensor:
        return torch.empty_like(like).bernoulli_(0.5).mul_(2.0).sub_(1.0)


@dataclass(frozen=True)
class Sphere(Noise):
    """Directions on the unit sphere of a layer's n neurons, times √n. Reference: Xiao et al. 2024 (OPZO)."""

    def __call__(self, like: Tensor) -> Tensor:
        noise = torch.randn_like(like)
        features = tuple(range(2, like.dim()))
        units = math.prod(like.shape[2:])
        return noise.mul_(math.sqrt(units) / noise.square().sum(features, keepdim=True).sqrt())
