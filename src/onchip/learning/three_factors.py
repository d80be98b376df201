"""The three factors of an online update, for whoever maps a rule to hardware."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from onchip.nn.neurons.base import Neuron, SavedTensors

__all__ = ["ThreeFactors", "three_factors"]


@dataclass(frozen=True)
class ThreeFactors:
    """What met in one layer's update, ΔW = sum_t,b (local · error) ⊗ pre.

    Args:
        pre: presynaptic trace at each synapse's input, (T, B, in...).
        local: ψ(u), the surrogate derivative of each postsynaptic neuron, (T, B, out...).
        error: what came from the top to each neuron, dL/ds (T, B, out...).
    """

    pre: Tensor
    local: Tensor
    error: Tensor


def three_factors(
    neuron: Neuron, pre: Tensor, over_time: list[float] | None, error: Tensor, saved: SavedTensors
) -> ThreeFactors:
    """The factors, before the neurons' saved is spent.

    Args:
        neuron: the postsynaptic neurons.
        pre: the presynaptic factor (T, B, in...), or a static image (B, in...).
        over_time: the factor of the image at each step, or None.
        error: dL/d(activity), on the pooled grid where the neurons pool.
        saved: what the neurons remember; stays as it is.
    """
    if over_time is not None:
        pre = torch.stack([factor * pre for factor in over_time])
    if saved.pool is not None:
        error = error.repeat_interleave(saved.pool, -1).repeat_interleave(saved.pool, -2) / saved.pool**2
    copied = SavedTensors({name: value.clone() for name, value in saved.values.items()})
    return ThreeFactors(pre.clone(), neuron.backward_local(torch.ones_like(error), copied), error.clone())
