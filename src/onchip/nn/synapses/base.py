"""The plastic synapse: a bilinear map, and the three products of it that a learning rule may use.

    apply(x, W)                   forward: the drive that presynaptic activity causes
    backward_input(δ, B, shape)   the error sent down, through *any* weights B of W's shape
    weight_grad(pre, δ)           the weight gradient, from *any* presynaptic factor

All signals here have one leading batch axis N, into which time is already folded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from onchip.errors import UnsupportedError


class Synapse(ABC):
    """The bilinear map of one layer. It holds no weights: each product is given the weights to use."""

    modules: ClassVar[tuple[type[nn.Module], ...]] = ()
    """Torch layers that this synapse describes: exactly these types, as a subclass may compute something else."""

    spatial_axes: int = 0
    """Axes of a feature map after its channels: 0 without maps, 1 for (length,), 2 for (height, width)."""

    groups: int = 1
    """Groups of channels that are connected among themselves only."""

    @classmethod
    def of(cls, name: str, module: Any) -> Synapse:
        """The synapse of a layer of one of the types in `modules`. Each registered class defines it.

        Args:
            name: dotted path of the layer in its network, for messages.
            module: the layer.

        Raises:
            UnsupportedError: the layer uses an option that the synapse lacks.
        """
        raise UnsupportedError(
            f"{cls.__name__} cannot be made from layer {name!r}; expected its class method `of` to be defined"
        )

    def weight_of(self, module: nn.Module) -> Tensor:
        """W (out, in...) of a layer: its parameter `weight`, unless the layer computes W from its parameters."""
        weight = module.weight
        assert isinstance(weight, Tensor)
        return weight

    @abstractmethod
    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Drive (N, out...) caused by presynaptic activity x (N, in...)."""

    @abstractmethod
    def backward_input(self, delta: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        """Error (N, in...) of the given shape that delta (N, out...) sends down through `weight`."""

    @abstractmethod
    def weight_grad(self, pre: Tensor, delta: Tensor) -> Tensor:
        """Gradient of W's shape: delta (N, out...) correlated with pre (N, in...), summed over N."""

    def bias_update(self, delta: Tensor) -> Tensor:
        """Gradient of the bias (out,): delta (N, out...) summed over all axes but the output channels."""
        return delta.sum((0, *range(2, delta.dim())))

    @abstractmethod
    def check(self, name: str, shape: torch.Size) -> None:
        """Raises RequestError unless activity of this shape (N, in...) fits the layer called `name`."""

    @abstractmethod
    def products(self, delta: torch.Size) -> int:
        """Scalar multiplications of one dense product whose postsynaptic side has this shape (N, out...)."""

    @abstractmethod
    def fan_out(self, inputs: torch.Size) -> Tensor:
        """Synapses that leave one presynaptic entry, () or by position (spatial axes); inputs are (N, in...)."""

    @abstractmethod
    def fan_in(self, inputs: torch.Size) -> Tensor:
        """Synapses that end at one postsynaptic entry, () or by position (spatial axes); inputs are (N, in...)."""

    @abstractmethod
    def pairs(self, pre: Tensor, post: Tensor) -> int:
        """Synapses that connect a marked presynaptic (N, in...) with a marked postsynaptic entry (N, out...)."""

    @abstractmethod
    def field(self) -> tuple[Synapse, tuple[int, ...]]:
        """The map of one receptive field with the same weights, and the shape (in...) of its input."""

    @abstractmethod
    def one_output(self) -> Synapse:
        """The same map with a single output channel in each group."""

    def bare(self) -> Synapse:
        """The map itself, without wrappers: for products that are no step of the network's own."""
        return self
