"""Convolutions over any number of spatial axes: what `conv1d` and `conv2d` share."""

import functools
import itertools
import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onchip.errors import RequestError, UnsupportedError
from onchip.nn.synapses.base import Synapse


@dataclass(frozen=True)
class ConvolutionSynapse(Synapse):
    """A convolution, padded with zeros. Positions, kernels and the fields below have one number per spatial axis.

    Args:
        shape: of W, (out, in / groups, kernel...).
        stride: positions between neighboring outputs.
        padding: zeros on either side.
        dilation: positions between neighboring weights of the kernel.
        groups: groups of channels that are connected among themselves only.
    """

    axes: ClassVar[tuple[str, ...]]
    """Names of the spatial axes, for messages."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @classmethod
    def of(cls, name: str, module: nn.Conv1d | nn.Conv2d) -> Synapse:
        layer = f"{type(module).__name__} {name!r}"
        if module.padding_mode != "zeros":
            raise UnsupportedError(
                f"{layer} pads with {module.padding_mode!r}; expected zeros. Use padding_mode='zeros'"
            )
        return cls(
            shape=tuple(module.weight.shape),
            stride=tuple(module.stride),
            padding=_padding(layer, module),
            dilation=tuple(module.dilation),
            groups=module.groups,
        )

    @abstractmethod
    def convolved(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Drive (N, out...), by torch's convolution with this number of spatial axes."""

    @property
    def spatial_axes(self) -> int:  # type: ignore[override]
        return len(self.axes)

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return _dense(self.convolved(_dense(x), _dense(weight), bias))

    def backward_input(self, delta: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        # torch's own conv2d_input passes an input without memory, which is then filled, and never read.
        unread = torch.empty(shape, dtype=delta.dtype, device=delta.device, memory_format=_memory_format(len(shape)))
        return self._derivative(0, delta, unread, _dense(weight))

    def weight_grad(self, pre: Tensor, delta: Tensor) -> Tensor:
        return self._derivative(1, delta, _dense(pre), delta.new_empty(1).expand(self.shape))

    def _derivative(self, which: int, delta: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        """The derivative by x (which = 0) or by the weight (which = 1); the value of that one is not read."""
        geometry = self.stride, self.padding, self.dilation, False, (0,) * self.spatial_axes, self.groups
        wanted = which == 0, which == 1, False
        derivative: Tensor = torch.ops.aten.convolution_backward(delta, x, weight, None, *geometry, wanted)[which]
        return derivative

    def check(self, name: str, shape: torch.Size) -> None:
        layer, channels = f"{self.modules[0].__name__} {name!r}", self.shape[1] * self.groups
        if len(shape) != 2 + self.spatial_axes or shape[1] != channels:
            expected = ", ".join((str(channels), *self.axes))
            raise RequestError(f"{layer} got features of shape {tuple(shape[1:])}; expected ({expected})")
        for axis, size in enumerate(shape[2:]):
            reach = self._reach(axis)
            if size + 2 * self.padding[axis] < reach:
                raise RequestError(
                    f"{layer} got a map of {self.axes[axis]} {size}, smaller than its kernel's reach of {reach}; "
                    "use larger inputs or less pooling before it"
                )

    def products(self, delta: torch.Size) -> int:
        return delta[0] * math.prod(delta[2:]) * math.prod(self.shape)

    def fan_out(self, inputs: torch.Size) -> Tensor:
        return self._fans(inputs[2:])[0]

    def fan_in(self, inputs: torch.Size) -> Tensor:
        return self._fans(inputs[2:])[1]

    def pairs(self, pre: Tensor, post: Tensor) -> int:
        # All channels of a group are connected alike, so the number of marked ones is enough: (N, groups, positions...)
        before, after = (marked.unflatten(1, (self.groups, -1)).sum(2) for marked in (pre, post))
        padded = self._padded(before)
        return sum(int((padded[tap] * after).sum()) for tap in self._taps(after.shape[2:]))

    def field(self) -> tuple[Synapse, tuple[int, ...]]:
        ones, zeros = (1,) * self.spatial_axes, (0,) * self.spatial_axes
        alone = replace(self, stride=ones, padding=zeros, dilation=ones)
        return alone, (self.shape[1] * self.groups, *self.shape[2:])

    def one_output(self) -> Synapse:
        return replace(self, shape=(self.groups, *self.shape[1:]))

    def _reach(self, axis: int) -> int:
        """Positions from the first to the last weight of the kernel."""
        return self.dilation[axis] * (self.shape[2 + axis] - 1) + 1

    @functools.cache  # noqa: B019 - a synapse is a small value, and there are as many as layers
    def _fans(self, positions: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Fan-out by position of the input and fan-in by position of the output; padding has no synapses."""
        inside = self._padded(torch.ones(positions, dtype=torch.int64))
        leaving = torch.zeros_like(inside)
        size = [
            (padded - self._reach(axis)) // stride + 1
            for axis, (padded, stride) in enumerate(zip(inside.shape, self.stride, strict=True))
        ]
        fan_in = torch.zeros(size, dtype=torch.int64)
        for tap in self._taps(fan_in.shape):
            fan_in += inside[tap]
            leaving[tap] += 1
        within = tuple(slice(pad, pad + n) for pad, n in zip(self.padding, positions, strict=True))
        return leaving[within] * (self.shape[0] // self.groups), fan_in * self.shape[1]

    def _padded(self, maps: Tensor) -> Tensor:
        # F.pad begins with the last axis.
        return F.pad(maps, [pad for pad in reversed(self.padding) for _ in ("before", "after")])

    def _taps(self, outputs: tuple[int, ...]) -> Iterator[tuple[Any, ...]]:
        """For each weight of the kernel, the padded positions (..., positions...) that it multiplies."""
        for place in itertools.product(*map(range, self.shape[2:])):
            begins = (at * dilation for at, dilation in zip(place, self.dilation, strict=True))
            strided = zip(begins, outputs, self.stride, strict=True)
            yield ..., *(slice(begin, begin + (size - 1) * step + 1, step) for begin, size, step in strided)


def _padding(layer: str, module: nn.Conv1d | nn.Conv2d) -> tuple[int, ...]:
    if not isinstance(module.padding, str):
        return tuple(module.padding)
    if module.padding == "valid":
        return (0,) * len(module.kernel_size)
    total = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
    if any(n % 2 for n in total):
        raise UnsupportedError(
            f"{layer} has padding='same' with an even kernel {module.kernel_size}, which pads unevenly; use an odd "
            "kernel or a number"
        )
    return tuple(n // 2 for n in total)


def _memory_format(dimensions: int) -> torch.memory_format:
    """The order in which maps are stored: scans over time then find their data dense and in one order."""
    return torch.channels_last if dimensions == 4 else torch.contiguous_format


def _dense(x: Tensor) -> Tensor:
    """The same values in the order of `_memory_format`, copied only if they are in another."""
    x = x.contiguous(memory_format=_memory_format(x.dim()))
    if x.dim() == 4 and x.shape[1] == 1 and x.is_contiguous():
        # One channel is stored alike in both orders, and torch then takes the slow one: say which is meant.
        _, _, height, width = x.shape
        return x.as_strided(x.shape, (height * width, 1, width, 1))
    return x
