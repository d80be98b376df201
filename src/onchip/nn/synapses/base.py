"""The plastic synapse: a bilinear map, and the only three products that a learning rule may take of it.

    apply(x, W)         forward: the drive that presynaptic activity causes
    pull(δ, B, shape)   the error sent down, through *any* weights of W's shape
    outer(pre, δ)       the update, from *any* presynaptic factor

All signals here have one leading batch axis N, into which time is already folded.
"""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import grad as conv_grad

from onchip.errors import RequestError, UnsupportedError
from onchip.kernels import sparse
from onchip.nn.weight_standardization import WeightStandardizedConv2d

__all__ = ["Conv2dSynapse", "LinearSynapse", "Synapse", "is_synapse", "synapse_of"]


class Synapse(ABC):
    """The bilinear map of one layer, free of weights: every product is told which weights to use."""

    @abstractmethod
    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Drive (N, out...) caused by presynaptic activity x (N, in...)."""

    @abstractmethod
    def backward_input(self, delta: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        """Error (N, in...) of the given shape that delta (N, out...) sends down through `weight`."""

    @abstractmethod
    def weight_grad(self, pre: Tensor, delta: Tensor) -> Tensor:
        """Update of W's shape: delta (N, out...) correlated with pre (N, in...), summed over N."""

    @abstractmethod
    def check(self, name: str, shape: torch.Size) -> None:
        """Raises RequestError unless activity of this shape (N, in...) fits the layer called `name`."""

    @abstractmethod
    def products(self, delta: torch.Size) -> int:
        """Scalar multiplications of one dense product whose postsynaptic side has this shape (N, out...)."""

    @abstractmethod
    def fan_out(self, inputs: torch.Size) -> Tensor:
        """Synapses that one presynaptic entry meets, () or by pixel (height, width); inputs are (N, in...)."""

    @abstractmethod
    def fan_in(self, inputs: torch.Size) -> Tensor:
        """Synapses that one postsynaptic entry meets, () or by pixel (height, width); inputs are (N, in...)."""

    @abstractmethod
    def pairs(self, pre: Tensor, post: Tensor) -> int:
        """Synapses at which a marked presynaptic (N, in...) meets a marked postsynaptic entry (N, out...)."""

    @abstractmethod
    def field(self) -> tuple[Synapse, tuple[int, ...]]:
        """The map of one receptive field with the same weights, and the shape (in...) of what it reads."""

    @abstractmethod
    def bias_update(self, delta: Tensor) -> Tensor:
        """Update of the bias (out,): delta (N, out...) summed over all but the output channels."""

    def bare(self) -> Synapse:
        """The map itself, for products that are no step of the network's own; a wrapper hands out what it wraps."""
        return self


@dataclass(frozen=True)
class LinearSynapse(Synapse):
    """All-to-all connection, y = W x + b, with W (out, in): the map of `torch.nn.Linear`."""

    inputs: int
    outputs: int

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        drive = sparse.product(x, weight.t(), bias)
        return F.linear(x, weight, bias) if drive is None else drive

    def backward_input(self, delta: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        pulled = sparse.product(delta, weight)
        return delta @ weight if pulled is None else pulled

    def weight_grad(self, pre: Tensor, delta: Tensor) -> Tensor:
        turned = sparse.product(pre.t(), delta, turned=True)  # (in, out)
        return delta.t() @ pre if turned is None else turned.t()

    def check(self, name: str, shape: torch.Size) -> None:
        if len(shape) != 2 or shape[1] != self.inputs:
            raise RequestError(
                f"Linear {name!r} got features of shape {tuple(shape[1:])}; expected ({self.inputs},). "
                "Put nn.Flatten() before it, or change its in_features"
            )

    def products(self, delta: torch.Size) -> int:
        return delta[0] * self.inputs * self.outputs

    def fan_out(self, inputs: torch.Size) -> Tensor:
        return torch.tensor(self.outputs)

    def fan_in(self, inputs: torch.Size) -> Tensor:
        return torch.tensor(self.inputs)

    def pairs(self, pre: Tensor, post: Tensor) -> int:
        return int((pre.sum(1) * post.sum(1)).sum())

    def field(self) -> tuple[Synapse, tuple[int, ...]]:
        return self, (self.inputs,)

    def bias_update(self, delta: Tensor) -> Tensor:
        return delta.sum(0)


@dataclass(frozen=True)
class Conv2dSynapse(Synapse):
    """Two-dimensional convolution with W (out, in / groups, kh, kw): the map of `torch.nn.Conv2d`.

    Products run in channels_last: the postsynaptic scan then finds its data dense and in one order.
    """

    shape: tuple[int, int, int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, weight = _channels_last(x), _channels_last(weight)
        return _channels_last(F.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups))

    def backward_input(self, delta: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        # torch's own conv2d_input hands over an input without memory, which is then filled, and never read.
        unread = torch.empty(shape, dtype=delta.dtype, device=delta.device, memory_format=torch.channels_last)
        geometry = self.stride, self.padding, self.dilation, False, (0, 0), self.groups
        wanted = (True, False, False)
        pulled: Tensor = torch.ops.aten.convolution_backward(
            delta, unread, _channels_last(weight), None, *geometry, wanted
        )[0]
        return pulled

    def weight_grad(self, pre: Tensor, delta: Tensor) -> Tensor:
        pre = _channels_last(pre)
        return conv_grad.conv2d_weight(pre, self.shape, delta, self.stride, self.padding, self.dilation, self.groups)

    def check(self, name: str, shape: torch.Size) -> None:
        channels = self.shape[1] * self.groups
        if len(shape) != 4 or shape[1] != channels:
            raise RequestError(
                f"Conv2d {name!r} got features of shape {tuple(shape[1:])}; expected ({channels}, height, width)"
            )
        for axis, size in enumerate(shape[2:]):
            reach = self.dilation[axis] * (self.shape[2 + axis] - 1) + 1
            if size + 2 * self.padding[axis] < reach:
                raise RequestError(
                    f"Conv2d {name!r} got an image of {shape[2]}x{shape[3]}, smaller than its kernel's "
                    f"reach of {reach}; use larger images or less pooling before it"
                )

    def products(self, delta: torch.Size) -> int:
        return delta[0] * math.prod(delta[2:]) * math.prod(self.shape)

    def fan_out(self, inputs: torch.Size) -> Tensor:
        return self._reach(inputs[2], inputs[3])[0]

    def fan_in(self, inputs: torch.Size) -> Tensor:
        return self._reach(inputs[2], inputs[3])[1]

    def pairs(self, pre: Tensor, post: Tensor) -> int:
        # All channels of a group meet alike, so their number says all: (N, groups, height, width)
        before, after = (marked.unflatten(1, (self.groups, -1)).sum(2) for marked in (pre, post))
        padded = self._padded(before)
        return sum(int((padded[tap] * after).sum()) for tap in self._taps(after.shape))

    @functools.cache  # noqa: B019 - a synapse is a small value, and there are as many as layers
    def _reach(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Fan-out by pixel of the image and fan-in by pixel of the map; padding meets no synapse."""
        image = torch.ones(height, width, dtype=torch.int64)
        inside = self._padded(image)
        outside = torch.zeros_like(inside)
        size = [
            (inside.shape[axis] - self.dilation[axis] * (self.shape[2 + axis] - 1) - 1) // self.stride[axis] + 1
            for axis in (0, 1)
        ]
        fan_in = torch.zeros(size, dtype=torch.int64)
        for tap in self._taps(fan_in.shape):
            fan_in += inside[tap]
            outside[tap] += 1
        top, left = self.padding
        fan_out = outside[top : top + height, left : left + width]
        return fan_out * (self.shape[0] // self.groups), fan_in * self.shape[1]

    def _padded(self, image: Tensor) -> Tensor:
        vertical, horizontal = self.padding
        return F.pad(image, (horizontal, horizontal, vertical, vertical))

    def _taps(self, outputs: torch.Size) -> Iterator[tuple[Any, ...]]:
        """For each weight of the kernel, where in the padded image it is for outputs (..., height, width)."""
        for row in range(self.shape[2]):
            for column in range(self.shape[3]):
                begins = (row * self.dilation[0], column * self.dilation[1])
                yield (
                    ...,
                    *(
                        slice(begin, begin + (size - 1) * stride + 1, stride)
                        for begin, size, stride in zip(begins, outputs[-2:], self.stride, strict=True)
                    ),
                )

    def field(self) -> tuple[Synapse, tuple[int, ...]]:
        alone = replace(self, stride=(1, 1), padding=(0, 0), dilation=(1, 1))
        return alone, (self.shape[1] * self.groups, *self.shape[2:])

    def bias_update(self, delta: Tensor) -> Tensor:
        return delta.sum((0, 2, 3))


def is_synapse(module: nn.Module) -> bool:
    """Whether the module is a layer of plastic synapses that rules can train."""
    return type(module) in (nn.Linear, nn.Conv2d, WeightStandardizedConv2d)


def synapse_of(name: str, module: nn.Module) -> Synapse:
    """The bilinear map of a torch layer.

    Raises:
        UnsupportedError: the layer is not a Linear or Conv2d, or pads otherwise than with zeros.
    """
    if type(module) is nn.Linear:
        return LinearSynapse(module.in_features, module.out_features)
    if type(module) is nn.Conv2d or type(module) is WeightStandardizedConv2d:
        if module.padding_mode != "zeros":
            raise UnsupportedError(
                f"Conv2d {name!r} pads with {module.padding_mode!r}; expected zeros. Use padding_mode='zeros'"
            )
        return Conv2dSynapse(
            shape=_four(module.weight.shape),
            stride=_two(module.stride),
            padding=_padding(name, module),
            dilation=_two(module.dilation),
            groups=module.groups,
        )
    raise UnsupportedError(f"{type(module).__name__} {name!r} is no synapse; expected Linear or Conv2d")


def _padding(name: str, module: nn.Conv2d) -> tuple[int, int]:
    if module.padding == "valid":
        return (0, 0)
    if module.padding == "same":
        total = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        if any(n % 2 for n in total):
            raise UnsupportedError(
                f"Conv2d {name!r} has padding='same' with an even kernel {module.kernel_size}, which pads "
                "unevenly; use an odd kernel or a number"
            )
        return (total[0] // 2, total[1] // 2)
    assert not isinstance(module.padding, str)
    return _two(module.padding)


def _two(pair: tuple[int, ...]) -> tuple[int, int]:
    return (pair[0], pair[1])


def _four(shape: torch.Size) -> tuple[int, int, int, int]:
    return (shape[0], shape[1], shape[2], shape[3])


def _channels_last(x: Tensor) -> Tensor:
    """The same values in channels_last order, copied only if they are in another."""
    x = x.contiguous(memory_format=torch.channels_last)
    if x.shape[1] == 1 and x.is_contiguous():
        # One channel lies alike in both orders, and torch then takes the slow one: say which is meant.
        _, _, height, width = x.shape
        return x.as_strided(x.shape, (height * width, 1, width, 1))
    return x
