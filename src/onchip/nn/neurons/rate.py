"""Analogue neurons of a clipped network: what stochastic neurons stand for."""

from typing import Any

import torch
from torch import Tensor

from onchip._types import checked
from onchip.errors import require
from onchip.nn.neurons.base import Drive, Neuron, SavedTensors
from onchip.nn.signals import TIME_STEPS, expanded
from onchip.nn.spike_train import RandomPhaseTrain, SpikeTrain


@checked
class Rate(Neuron):
    """Units with the activity h = clip(I, 0, 1), at each step on its own: an ordinary network at T = 1.

    With `trials` they send what a spike train of so many steps comes to, count / trials: the fast stand-in of
    `Stochastic` neurons, equal to them in mean and variance where their potential has settled.

    Args:
        trials: steps of the spike train that is counted, at least 1; None for the number itself.
        train: how the number becomes spikes; only asked with `trials`.

    Raises:
        RequestError: trials below 1.

    Example:
        >>> Rate()(torch.tensor([[[-0.5, 0.25, 2.0]]]))
        tensor([[[0.0000, 0.2500, 1.0000]]])

    Reference: Biswas, Saraswat, Ganguly 2023 (SSNN-BP, arXiv 2207.09755), whose equivalent network has such units.
    """

    signal = TIME_STEPS

    def __init__(self, *, trials: int | None = None, train: SpikeTrain = RandomPhaseTrain()) -> None:
        super().__init__()
        require(trials is None or trials >= 1, self, "trials", trials, "at least 1 step, or None for the number itself")
        self._trials = trials
        self._encode = train

    def draws(self) -> bool:
        return self._trials is not None

    def options(self) -> dict[str, Any]:
        return {"trials": self._trials, "train": self._encode}

    def forward(self, drive: Drive) -> Tensor:
        """Activity in [0, 1], (T, B, features...), for a drive of that shape or Static."""
        current = expanded(drive)
        activity: Tensor = _Clip.apply(current, self)
        return activity

    def run(self, drive: Drive, state: None, pool: int | None) -> tuple[Tensor, SavedTensors, None]:
        current = expanded(drive)
        gate = (current > 0) & (current < 1)
        activity = current.clamp(0, 1)
        if self._trials is not None:
            activity = self._encode.count(activity, self._trials).div_(self._trials)
        return activity, SavedTensors({"gate": gate}), None

    def backward_through_time(self, error: Tensor, saved: SavedTensors) -> Tensor:
        return error * saved.take("gate")

    def backward_local(self, error: Tensor, saved: SavedTensors) -> Tensor:
        return self.backward_through_time(error, saved)

    def extra_repr(self) -> str:
        return "" if self._trials is None else f"trials={self._trials}, train={self._encode}"


class _Clip(torch.autograd.Function):
    """A layer of such units as plain autograd sees it."""

    @staticmethod
    def forward(ctx: Any, drive: Tensor, neuron: Rate) -> Tensor:
        ctx.neuron = neuron
        activity, ctx.saved, _ = neuron.run(drive, None, None)
        return activity

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor, None]:
        return ctx.neuron.backward_through_time(error, ctx.saved), None
