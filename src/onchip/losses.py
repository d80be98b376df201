"""From a network's output to a loss, and to a class."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from onchip._types import checked
from onchip.data.split import NO_TARGET
from onchip.errors import RequestError
from onchip.nn.signals import fold_time
from onchip.nn.spike_train import winner_take_all

__all__ = ["Loss", "StepLoss", "Winner", "predict"]


class Loss(ABC):
    """A number to lower, as a mean over the time steps and samples that have a target."""

    @abstractmethod
    def __call__(self, out: Tensor, labels: Tensor) -> Tensor:
        """The loss, a scalar.

        Args:
            out: Outputs (T, B, classes) or (B, classes).
            labels: Classes (B,), the target at every time step; or (T, B), with -1 at steps without a target, which
                enter neither the loss nor any error.

        Returns:
            The mean over the steps and samples with a target; 0 if there are none.
        """

    @abstractmethod
    def each(self, out: Tensor, labels: Tensor) -> Tensor:
        """The loss of each step and sample, (T, B), or of each sample, (B,), whose mean is the loss.

        Where n of T·B steps have a target, that of a step with a target is multiplied by T·B / n; the others are 0.
        """


@checked
@dataclass(frozen=True)
class StepLoss(Loss):
    """The loss of Xiao et al., at every time step; plain softmax cross-entropy when there are none.

    L = (1/T) sum_t [(1 - μ) CE(o[t], y) + μ MSE(o[t], onehot(y))], for an output (T, B, classes).
    An output (B, classes), such as the read-out of a time-to-first-spike network, gets CE(o, y).
    Labels (T, B) restrict the mean to the steps that have a target.

    Args:
        mix: μ, the share of the squared error, in [0, 1].

    Raises:
        RequestError: `mix` is out of range, the output is of neither shape, or labels do not fit it.

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
        _check_labels(out, labels)
        if out.dim() == 2:
            return F.cross_entropy(out, labels)
        if labels.dim() == 2:
            return self.each(out, labels).mean()
        steps = out.shape[0]
        folded = fold_time(out)  # (T*B, classes)
        cross_entropy = F.cross_entropy(folded, labels.repeat(steps))
        onehot = _onehot(labels, out)  # (B, classes)
        return (1.0 - self.mix) * cross_entropy + self.mix * (out - onehot).square().mean()

    def each(self, out: Tensor, labels: Tensor) -> Tensor:
        _check_labels(out, labels)
        steps = out.unsqueeze(0) if out.dim() == 2 else out  # (T or 1, B, classes)
        repeated = labels.expand(steps.shape[:2])
        folded = F.cross_entropy(fold_time(steps), repeated.flatten(), reduction="none", ignore_index=NO_TARGET)
        cross_entropy = folded.view(repeated.shape)
        if out.dim() == 2:
            return cross_entropy[0]
        squares = (out - _onehot(labels, out)).square().mean(2)
        losses = (1.0 - self.mix) * cross_entropy + self.mix * squares
        return losses if labels.dim() == 1 else losses * _shares(labels, out)


@checked
@dataclass(frozen=True)
class Winner(Loss):
    """Softmax cross-entropy whose error is spikes: +1 at a winner drawn from the softmax, -1 at the label.

        k ~ softmax(o[t] / τ),   error at o[t] = (onehot(k) - onehot(y)) / (T B)

    For τ = 1 the mean of this error is the derivative of the cross-entropy, which is the loss's value. With labels
    (T, B), the number of steps that have a target takes the place of T B, and the error at the others is 0.

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
        loss = StepLoss(mix=0.0)(out, labels)
        ctx.error = (winner_take_all(out / temperature) - _onehot(labels, out)) / out[..., 0].numel()
        if labels.dim() == 2:
            ctx.error.mul_(_shares(labels, out).unsqueeze(2))
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None]:
        return ctx.error * slope, None, None


def predict(out: Tensor, *, last: bool = False, where: Tensor | None = None) -> Tensor:
    """The class (B,) with the largest of the `scores`."""
    return scores(out, last=last, where=where).argmax(-1)


def scores(out: Tensor, *, last: bool = False, where: Tensor | None = None) -> Tensor:
    """What an output says of each class, (B, classes): its sum over time, or its last time step.

    Args:
        out: (B, classes), which are the scores; or (T, B, classes).
        last: whether the last time step tells, as for running means; else the sum over time.
        where: the time steps that count, (T, B) bool, at least one per sample, such as those with a target; None for
            all.
    """
    if out.dim() == 2:
        return out
    if where is None:
        return out[-1] if last else out.sum(0)
    if last:  # of the steps that count, only the last does
        where = where & (where.flip(0).cumsum(0).flip(0) == 1)
    return (out * where.unsqueeze(2)).sum(0)


def _onehot(labels: Tensor, out: Tensor) -> Tensor:
    """(..., classes) for labels (...), of the output's type; torch's own waits for the device to check the labels."""
    return (labels.unsqueeze(-1) == torch.arange(out.shape[-1], device=out.device)).to(out.dtype)


def _shares(labels: Tensor, out: Tensor) -> Tensor:
    """Weight of each step and sample, (T, B), in a mean over all of them that is to be one over those with a target."""
    target = labels != NO_TARGET
    return target.to(out.dtype) * labels.numel() / target.sum().clamp(min=1)


def _check_labels(out: Tensor, labels: Tensor) -> None:
    if out.dim() not in (2, 3):
        raise RequestError(
            f"StepLoss got an output of shape {tuple(out.shape)}; expected (T, B, classes) or (B, classes)"
        )
    if labels.shape not in (out.shape[-2:-1], out.shape[:-1]):
        per_step = f" or, per time step, {tuple(out.shape[:-1])}" if out.dim() == 3 else ""
        raise RequestError(
            f"the loss got labels of shape {tuple(labels.shape)} for an output of shape {tuple(out.shape)}; expected "
            f"one per sample, {tuple(out.shape[-2:-1])}{per_step}"
        )
