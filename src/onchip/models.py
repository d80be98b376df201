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
from onchip.nn.neurons.base import Neuron

__all__ = [
    "conv4",
    "conv5",
    "conv9",
    "conv9_narrow",
    "conv_deep",
    "conv_dense",
    "conv_small",
    "conv_wide",
    "mlp",
    "mlp_narrow",
    "mlp_tapered",
    "mlp_wide",
    "resnet8",
    "resnet18",
    "resnet34",
    "vgg7",
    "vgg11",
]

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


def mlp_narrow(shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
    """F200-classes, fully connected. Reference: Biswas et al. 2023 (SSNN-BP, arXiv 2207.09755)."""
    return _dense(shape, classes, (200,), neuron)


def mlp_tapered(shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
    """F200-F100-classes, fully connected: `mlp_narrow` with a layer more."""
    return _dense(shape, classes, (200, 100), neuron)


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


def conv4(shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
    """64C3-P2-128C3-P2-256C3-P2-classes, with standardised weights before neurons over time steps."""
    return _convolutional(shape, classes, (64, P, 128, P, 256, P), (), neuron, standardised=True)


def conv5(shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
    """128C3-P2-256C3-P2-512C3-P2-512C3-classes, five layers with weights, standardised as in `conv4`.

    Reference: Xiao et al. 2024 (OPZO, arXiv 2407.12516), CIFAR-10; the widths are from memory.
    """
    return _convolutional(shape, classes, (128, P, 256, P, 512, P, 512), (), neuron, standardised=True)


def conv9(shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
    """64C3-128C3-P2-256C3-256C3-P2-512C3-512C3-P2-512C3-512C3-classes, nine layers, standardised as in `conv4`.

    Reference: Xiao et al. 2022 (OTTT, NeurIPS), CIFAR-10, who call it VGG; the widths are from memory.
    """
    layout = (64, 128, P, 256, 256, P, 512, 512, P, 512, 512)
    return _convolutional(shape, classes, layout, (), neuron, standardised=True)


def conv9_narrow(shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
    """`conv9` with a quarter of its maps in each layer, a sixteenth of its work: nine layers for a CPU."""
    layout = (16, 32, P, 64, 64, P, 128, 128, P, 128, 128)
    return _convolutional(shape, classes, layout, (), neuron, standardised=True)


def resnet8(shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
    """16C3, three blocks of two 3x3 convolutions, of 16, 32 and 64 maps: a residual network for a CPU.

    Reference: He et al. 2016 (CVPR), section 4.2 with n = 1; the rest as in `resnet18`.
    """
    return _residual(shape, classes, (1, 1, 1), neuron, maps=16)


def resnet18(shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
    """ResNet-18 for small images: 64C3, blocks of two 3x3 convolutions, 2 of 64, 128, 256 and 512 maps each.

    Standardised weights, no normalisation of activity; spikes are added at the end of a block. `Residual` says what
    rules make of that.

    Reference: He et al. 2016 (CVPR), table 1; the stem for small images as in their CIFAR-10 networks.
    """
    return _residual(shape, classes, (2, 2, 2, 2), neuron)


def resnet34(shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
    """ResNet-34 for small images: `resnet18` with 3, 4, 6 and 3 blocks.

    Reference: He et al. 2016 (CVPR), table 1.
    """
    return _residual(shape, classes, (3, 4, 6, 3), neuron)


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


def _residual(
    shape: tuple[int, ...], classes: int, depths: tuple[int, ...], neuron: Callable[[], Neuron], maps: int = 64
) -> nn.Sequential:
    if neuron().signal != "steps":
        raise RequestError(
            f"residual networks add spikes, and those of {type(neuron()).__name__} do not add up; expected LIF or IF"
        )
    layers: list[torch.nn.Module] = [nn.WeightStandardizedConv2d(shape[0], maps, 3, padding=1), neuron()]
    channels = maps
    for level, depth in enumerate(depths):
        for block in range(depth):
            halves = bool(level) and not block
            body = nn.Sequential(
                nn.WeightStandardizedConv2d(channels, maps, 3, stride=2 if halves else 1, padding=1),
                neuron(),
                nn.WeightStandardizedConv2d(maps, maps, 3, padding=1),
                neuron(),
            )
            shortcut = (
                nn.Sequential(nn.WeightStandardizedConv2d(channels, maps, 1, stride=2), neuron()) if halves else None
            )
            layers.append(nn.Residual(body, shortcut))
            channels = maps
        maps *= 2
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def _convolutional(
    shape: tuple[int, ...],
    classes: int,
    layout: Layout,
    widths: tuple[int, ...],
    neuron: Callable[[], Neuron],
    *,
    standardised: bool = False,
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
            if standardised and neuron().signal == "steps":
                layers += [nn.WeightStandardizedConv2d(channels, maps, 3, padding=1, gain=DEEP_GAIN), neuron()]
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
    closing = [nn.MeanReadout()] if neuron().signal == "streams" else []
    return [*layers, nn.Linear(inputs, classes), *closing]


def _timed(neuron: Callable[[], Neuron]) -> bool:
    return neuron().signal == "times"


def _initialised(layer: nn.Linear | nn.Conv2d, neuron: Callable[[], Neuron], gain: float) -> torch.nn.Module:
    """Weights that keep layers alive from the first step."""
    if _timed(neuron):
        # He's variance, as Goupy et al. 2025 draw them.
        torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    elif not isinstance(neuron(), nn.Rate | nn.Stochastic):  # which pass on what is below any threshold
        with torch.no_grad():
            layer.weight.mul_(gain)
    return layer
