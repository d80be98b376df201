"""Synapses that wrap another, to record its products or to save some of them."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from onchip.nn.synapses.base import Synapse


class SynapseWrapper(Synapse):
    """Does everything as the synapse that it wraps; a subclass changes single products.

    Args:
        inner: the wrapped synapse.
    """

    def __init__(self, inner: Synapse) -> None:
        self.inner = inner
        self.spatial_axes = inner.spatial_axes
        self.groups = inner.groups

    def weight_of(self, module: nn.Module) -> Tensor:
        return self.inner.weight_of(module)

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self.inner.apply(x, weight, bias)

    def backward_input(self, delta: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        return self.inner.backward_input(delta, weight, shape)

    def weight_grad(self, pre: Tensor, delta: Tensor) -> Tensor:
        return self.inner.weight_grad(pre, delta)

    def bias_update(self, delta: Tensor) -> Tensor:
        return self.inner.bias_update(delta)

    def check(self, name: str, shape: torch.Size) -> None:
        self.inner.check(name, shape)

    def products(self, delta: torch.Size) -> int:
        return self.inner.products(delta)

    def fan_out(self, inputs: torch.Size) -> Tensor:
        return self.inner.fan_out(inputs)

    def fan_in(self, inputs: torch.Size) -> Tensor:
        return self.inner.fan_in(inputs)

    def pairs(self, pre: Tensor, post: Tensor) -> int:
        return self.inner.pairs(pre, post)

    def field(self) -> tuple[Synapse, tuple[int, ...]]:
        return self.inner.field()

    def one_output(self) -> Synapse:
        return self.inner.one_output()

    def bare(self) -> Synapse:
        return self.inner.bare()


@dataclass
class ProductCache:
    """Forward products computed so far.

    Args:
        drives: by layer and shape, an operand and the drive that it caused.
    """

    drives: dict[tuple[str, torch.Size], tuple[Tensor, Tensor]] = field(default_factory=dict)


class CachedSynapse(SynapseWrapper):
    """A synapse with constant weights: it computes no forward product twice, and no weight gradient at all.

    Args:
        inner: the wrapped synapse.
        name: of its layer.
        memory: shared with other wrappers of the same layers.
    """

    def __init__(self, inner: Synapse, name: str, memory: ProductCache) -> None:
        super().__init__(inner)
        self._shape: torch.Size | None = None
        self._name = name
        self._memory = memory

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        self._shape = weight.shape
        key = (self._name, x.shape)
        operand, drive = self._memory.drives.get(key, (None, None))
        if operand is None or drive is None or not torch.equal(operand, x):
            drive = self.inner.apply(x, weight, bias)
            # The neurons overwrite their drive.
            self._memory.drives[key] = (x.clone(), drive.clone())
            return drive
        return drive.clone()

    def weight_grad(self, pre: Tensor, delta: Tensor) -> Tensor:
        assert self._shape is not None, "a weight gradient comes after a forward product"
        return pre.new_zeros(self._shape)
