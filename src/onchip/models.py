"""Networks by name, for any image size; a new one is a function here and its name in `__all__`.

Written as papers do: `16C3` is a convolution to 16 maps by kernels of 3x3 that keeps the image's size, each
followed by neurons; `P2` a pool of 2x2, of averages for neurons over time steps and of earliest spikes for spike
times; `F128` a fully connected layer of 128 neurons. The read-out closes every network. Layers of neurons with
spike times have no bias.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch

from onchip import nn
from onchip.errors import RequestError
from onchip.neurons.base import Neuron

__all__ = ["conv_deep", "conv_dense", "conv_small", "conv_wide", "mlp", "mlp_wide", "vgg7", "vgg11"]

GAIN = 3.0
"""Factor on torch's range of initial weights before neurons that integrate over time steps. With a factor of 1 the
second layer of `conv_small` fires at a rate of 0.000 on digits at T = 6, and learns nothing."""

DEEP_GAIN = 5.0
"""The same factor after the first layer of a convolutional network, whose inputs are sparse or averaged by pools.
Rates of the hidden layers at T = 6, seed 0, by factor after the first layer:

    vgg7, CIFAR-10   1: .02 .00 .00 .00 .00 .00       3: .15 .09 .04 .02 .00 .00      5: .21 .21 .24 .24 .22 .23
    vgg7, digits     1: .03 .00 .00 .00 .00 .00       3: .14 .10 .03 .01 .00 .00      5: .16 .18 .17 .21 .12 .10
    vgg11, CIFAR-10  1: .02, then .00 in all          3: .00 from the eighth layer    5: .17 to .24 in all ten

`bp` learnt digits better with 5 than with 3 in `conv_wide`, and worse in `mlp`, which keeps 3 throughout."""

P: Literal["P"] = "P"
"""A pool of 2x2 in a layout."""

Layout = tuple["int | Literal['P']", ...]
"""Maps of each convolution, and pools, in order."""


def mlp(shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
    """F256-F256-classes, fully connected."""
    return _dense(shape, classes, (256, 256), neuron)


def mlp_wide(shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
    """F800-F800-classes, fully connected. Reference: Xiao et al. 2024 (OPZO, arXiv 2407.12516), MNIST."""
    return _dense(shape, classes, (800, 800), neuron)


def conv_small(shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
    """16C3-P2-32C3-P2-classes."""
    return _convolutional(shape, classes, (16, P, 32, P), (), neuron)


def conv_wide(shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
    """32C3-P2-64C3-P2-classes."""
    return _convolutional(shape, classes, (32, P, 64, P), (), neuron)


def conv_deep(shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
    """16C3-16C3-P2-32C3-32C3-P2-classes."""
    return _convolutional(shape, classes, (16, 16, P, 32, 32, P), (), neuron)


def conv_dense(shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
    """16C3-P2-32C3-P2-F128-classes: as `conv_small`, with a hidden layer of many inputs before the read-out."""
    return _convolutional(shape, classes, (16, P, 32, P), (128,), neuron)


def vgg7(shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
    """64C3-128C3-P2-256C3-256C3-P2-512C3-512C3-P2-classes.

    Reference: Goupy et al. 2025 (arXiv 2505.13741), CIFAR-10.
    """
    return _convolutional(shape, classes, (64, 128, P, 256, 256, P, 512, 512, P), (), neuron)


def vgg11(shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
    """128C3-128C3-128C3-P2-256C3-256C3-256C3-P2-512C3-512C3-512C3-512C3-P2-classes.

    Reference: Goupy et al. 2025 (arXiv 2505.13741), CIFAR-100.
    """
    return _convolutional(shape, classes, (128,) * 3 + (P,) + (256,) * 3 + (P,) + (512,) * 4 + (P,), (), neuron)


def _dense(
    shape: tuple[int, ...], classes: int, widths: tuple[int, ...], neuron: Callable[[], Neuron]
) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), *_head(math.prod(shape), classes, widths, neuron, GAIN))


def _convolutional(
    shape: tuple[int, ...], classes: int, layout: Layout, widths: tuple[int, ...], neuron: Callable[[], Neuron]
) -> nn.Sequential:
    least = 2 ** layout.count(P)
    if min(shape[1:]) < least:
        raise RequestError(
            f"got images of {shape[1]}x{shape[2]} pixels; {layout.count(P)} pools by 2 need at least {least}x{least}"
        )
    channels, height, width = shape
    layers: list[torch.nn.Module] = []
    for maps in layout:
        if maps == "P":
            layers.append(nn.EarliestPool2d(2) if _timed(neuron) else nn.AvgPool2d(2))
            height, width = height // 2, width // 2
        else:
            layer = nn.Conv2d(channels, maps, 3, padding=1, bias=not _timed(neuron))
            layers += [_initialised(layer, neuron, DEEP_GAIN if layers else GAIN), neuron()]
            channels = maps
    return nn.Sequential(*layers, nn.Flatten(), *_head(channels * height * width, classes, widths, neuron, DEEP_GAIN))


def _head(
    inputs: int, classes: int, widths: tuple[int, ...], neuron: Callable[[], Neuron], gain: float
) -> list[torch.nn.Module]:
    """Fully connected layers of neurons, and the read-out."""
    layers: list[torch.nn.Module] = []
    for width in widths:
        layers += [_initialised(nn.Linear(inputs, width, bias=not _timed(neuron)), neuron, gain), neuron()]
        inputs = width
    if _timed(neuron):
        return [*layers, _initialised(nn.Linear(inputs, classes, bias=False), neuron, gain), nn.TTFSReadout()]
    return [*layers, nn.Linear(inputs, classes)]


def _timed(neuron: Callable[[], Neuron]) -> bool:
    return neuron().signal == "times"


def _initialised(layer: nn.Linear | nn.Conv2d, neuron: Callable[[], Neuron], gain: float) -> torch.nn.Module:
    """Weights that keep layers alive from the first step."""
    if _timed(neuron):
        # He's variance, as Goupy et al. 2025 draw them.
        torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    else:
        with torch.no_grad():
            layer.weight.mul_(gain)
    return layer
