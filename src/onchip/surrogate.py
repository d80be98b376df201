"""Surrogate derivatives ψ of the spike function: what a rule uses where the true derivative is zero."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from onchip._types import checked
from onchip.errors import RequestError

__all__ = ["ATan", "FastSigmoid", "Rectangle", "Sigmoid", "Surrogate", "Triangle"]


class Surrogate(ABC):
    """Derivative ψ(x) used for the spike function H(x) at a distance x = u - threshold."""

    @abstractmethod
    def gate_(self, x: Tensor, error: Tensor) -> Tensor:
        """Overwrites the distance x by ψ(x) · error and returns it: one buffer, no allocation."""


class _Scaled(Surrogate):
    """A surrogate derivative whose fields are positive scales."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (value > 0 and math.isfinite(value)):
                raise RequestError(f"{type(self).__name__} got {name}={value}; expected a positive, finite number")


@checked
@final
@dataclass(frozen=True)
class Sigmoid(_Scaled):
    """ψ(x) = k σ(kx) (1 - σ(kx)), peak k/4.

    Reference: Xiao et al. 2022 (OTTT, NeurIPS), with k = 4 for a peak of 1.
    """

    slope: float = 4.0

    def gate_(self, x: Tensor, error: Tensor) -> Tensor:
        torch.sigmoid(x.mul_(self.slope), out=x)
        # aten's fused error · y (1 - y); there is no public name for it.
        torch.ops.aten.sigmoid_backward.grad_input(error, x, grad_input=x)
        return x.mul_(self.slope)


@checked
@final
@dataclass(frozen=True)
class ATan(_Scaled):
    """ψ(x) = α / (2 (1 + (π α x / 2)²)), peak α/2. Reference: Fang et al. 2021 (ICCV), with α = 2."""

    alpha: float = 2.0

    def gate_(self, x: Tensor, error: Tensor) -> Tensor:
        x.mul_(math.pi * self.alpha / 2).square_().add_(1.0)
        return torch.div(error, x, out=x).mul_(self.alpha / 2)


@checked
@final
@dataclass(frozen=True)
class FastSigmoid(_Scaled):
    """ψ(x) = 1 / (1 + k|x|)², peak 1. Reference: Zenke & Ganguli 2018 (SuperSpike), with k = 10 here."""

    slope: float = 10.0

    def gate_(self, x: Tensor, error: Tensor) -> Tensor:
        x.abs_().mul_(self.slope).add_(1.0).square_()
        return torch.div(error, x, out=x)


@checked
@final
@dataclass(frozen=True)
class Triangle(_Scaled):
    """ψ(x) = max(0, 1 - |x| / w) / w, area 1. Reference: Bellec et al. 2018 (LSNN), Esser et al. 2016."""

    width: float = 1.0

    def gate_(self, x: Tensor, error: Tensor) -> Tensor:
        x.abs_().mul_(-1 / self.width).add_(1.0).clamp_(min=0.0)
        return x.mul_(error).mul_(1 / self.width)


@checked
@final
@dataclass(frozen=True)
class Rectangle(_Scaled):
    """ψ(x) = 1/w where |x| < w/2, else 0, area 1. Reference: Wu et al. 2018 (STBP), with w = 1."""

    width: float = 1.0

    def gate_(self, x: Tensor, error: Tensor) -> Tensor:
        torch.lt(x.abs_(), self.width / 2, out=x)
        return x.mul_(error).mul_(1 / self.width)
