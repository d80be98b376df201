"""The three factors of an online update, for mapping a rule to hardware."""

from dataclasses import dataclass

import torch
from torch import Tensor

from onchip.nn.neurons.base import Neuron, SavedTensors


@dataclass(frozen=True)
class ThreeFactors:
    """Factors of one layer's update, ΔW = sum_t,b (local · error) ⊗ pre.

    Args:
        pre: Presynaptic trace at each synapse's input, (T, B, in...).
        local: ψ(u), the surrogate derivative of each postsynaptic neuron, (T, B, out...).
        error: dL/ds, the error that reaches each postsynaptic neuron, (T, B, out...).
    """

    pre: Tensor
    local: Tensor
    error: Tensor


def three_factors(
    neuron: Neuron, pre: Tensor, weights: list[float] | None, error: Tensor, saved: SavedTensors
) -> ThreeFactors:
    """Copies of the factors of an update, taken before its backward pass.

    Args:
        neuron: Postsynaptic neurons.
        pre: Presynaptic trace (T, B, in...), or a static image (B, in...).
        weights: Trace at each step as a multiple of the static image; None for a signal over time.
        error: dL/d(activity), (T, B, out...), with pooled maps where the neurons pool.
        saved: Saved tensors of the neurons' forward pass; they do not change.
    """
    if weights is not None:
        pre = torch.stack([weight * pre for weight in weights])
    if saved.pool is not None:
        error = error.repeat_interleave(saved.pool, -1).repeat_interleave(saved.pool, -2) / saved.pool**2
    local = neuron.backward_local(torch.ones_like(error), SavedTensors(saved.copy().values))
    return ThreeFactors(pre.clone(), local, error.clone())
