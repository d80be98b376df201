"""Synapses without arithmetic, with which a training step needs its memory but not its time."""

import torch
from torch import Tensor

from onchip.nn.synapses.wrapper import SynapseWrapper


class HollowSynapse(SynapseWrapper):
    """A synapse whose products are zeros, of the type, shape and memory order of the real ones.

    Working space that a product needs inside is not allocated.
    """

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return _zeros(self.inner.apply(_shape(x), _shape(weight), None if bias is None else _shape(bias)), x)

    def backward_input(self, delta: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        return _zeros(self.inner.backward_input(_shape(delta), _shape(weight), shape), delta)

    def weight_grad(self, pre: Tensor, delta: Tensor) -> Tensor:
        return _zeros(self.inner.weight_grad(_shape(pre), _shape(delta)), pre)


def _shape(tensor: Tensor) -> Tensor:
    """The tensor without its values."""
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


def _zeros(plan: Tensor, like: Tensor) -> Tensor:
    return torch.empty_strided(plan.shape, plan.stride(), dtype=plan.dtype, device=like.device).zero_()
