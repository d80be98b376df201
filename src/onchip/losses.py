"""From a network's output to a loss, and to a class."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from onchip._types import checked
from onchip.errors import RequestError
from onchip.nn.signals import fold_time
from onchip.nn.spike_train import winner_take_all

__all__ = ["Loss", "StepLoss", "Winner", "predict"]


class Loss(ABC):
    """A number to lower, as a mean over time steps and samples."""

    @abstractmethod
    def __call__(self, out: Tensor, labels: Tensor) -> Tensor:
        """The loss, a scalar, of outputs (T, B, classes) or (B, classes) under labels (B,)."""

    @abstractmethod
    def each(self, out: Tensor, labels: Tensor) -> Tensor:
        """The loss of each step and sample, (T, B), or of each sample, (B,), whose mean is the loss."""


@checked
@dataclass(frozen=True)
class StepLoss(Loss):
    """The loss of Xiao et al., at every time step; plain softmax cross-entropy when there are none.

    L = (1/T) sum_t [(1 - μ) CE(o[t], y) + μ MSE(o[t], onehot(y))], for an output (T, B, classes).
    An output (B, classes), such as the read-out of a time-to-first-spike network, gets CE(o, y).

    Args:
        mix: μ, the share of the squared error, in [0, 1].

    Raises:
        RequestError: `mix` is out of range, or the output is of neither shape.

    Example:
        >>> import torch
        >>> round(StepLoss()(torch.zeros(4, 2, 10), torch.tensor([3, 7])).item(), 4)
        2.1925

    Reference: Xiao, Meng, Zhang, He, Lin, "Online training through time for spiking neural
    networks", NeurIPS 2022, section 5 (μ = 0.05).
    """

    mix: float = 0.05

    def __post_init__(self) -> None:
        if not 0.0 <= self.mix <= 1.0:
            raise RequestError(f"StepLoss got mix={self.mix}; expected a share between 0 and 1")

    def __call__(self, out: Tensor, labels: Tensor) -> Tensor:
        if out.dim() == 2:
            return F.cross_entropy(out, labels)
        if out.dim() != 3:
            raise RequestError(
                f"StepLoss got an output of shape {tuple(out.shape)}; expected (T, B, classes) or (B, classes)"
            )
        steps = out.shape[0]
        folded = fold_time(out)  # (T*B, classes)
        cross_entropy = F.cross_entropy(folded, labels.repeat(steps))
        onehot = _onehot(labels, out)  # (B, classes)
        return (1.0 - self.mix) * cross_entropy + self.mix * (out - onehot).square().mean()

    def each(self, out: Tensor, labels: Tensor) -> Tensor:
        steps = out.unsqueeze(0) if out.dim() == 2 else out  # (T or 1, B, classes)
        repeated = labels.expand(steps.shape[:2])
        cross_entropy = F.cross_entropy(fold_time(steps), repeated.flatten(), reduction="none").view_as(repeated)
        if out.dim() == 2:
            return cross_entropy[0]
        squares = (out - _onehot(labels, out)).square().mean(2)
        return (1.0 - self.mix) * cross_entropy + self.mix * squares


@checked
@dataclass(frozen=True)
class Winner(Loss):
    """Softmax cross-entropy whose error is spikes: +1 at a winner drawn from the softmax, -1 at the label.

        k ~ softmax(o[t] / τ),   error at o[t] = (onehot(k) - onehot(y)) / (T B)

    For τ = 1 the mean of this error is the derivative of the cross-entropy, which is the loss's value.

    Args:
        temperature: τ of the draw, above 0.

    Raises:
        RequestError: a temperature out of range.

    Reference: Biswas, Saraswat, Ganguly 2023 (SSNN-BP, arXiv 2207.09755), the winner-take-all output.
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.temperature < math.inf:
            raise RequestError(f"Winner got temperature={self.temperature}; expected a number above 0")

    def __call__(self, out: Tensor, labels: Tensor) -> Tensor:
        loss: Tensor = _Drawn.apply(out, labels, self.temperature)
        return loss

    def each(self, out: Tensor, labels: Tensor) -> Tensor:
        return StepLoss(mix=0.0).each(out, labels)


class _Drawn(torch.autograd.Function):
    """Cross-entropy with a drawn error in place of its derivative."""

    @staticmethod
    def forward(ctx: Any, out: Tensor, labels: Tensor, temperature: float) -> Tensor:
        onehot = _onehot(labels, out)  # (B, classes)
        ctx.error = (winner_take_all(out / temperature) - onehot) / out[..., 0].numel()
        return StepLoss(mix=0.0)(out, labels)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None]:
        return ctx.error * slope, None, None


def predict(out: Tensor, *, last: bool = False) -> Tensor:
    """The class (B,) with the largest output.

    Args:
        out: (B, classes), or (T, B, classes).
        last: whether the last time step tells, as for running means; else the sum over time.
    """
    if out.dim() == 3:
        out = out[-1] if last else out.sum(0)
    return out.argmax(-1)


def _onehot(labels: Tensor, out: Tensor) -> Tensor:
    """(B, classes) for labels (B,), of the output's type; torch's own waits for the device to check the labels."""
    return (labels.unsqueeze(1) == torch.arange(out.shape[-1], device=out.device)).to(out.dtype)
