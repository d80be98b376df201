"""Networks by name, for any image size; a new one is a function here and its name in `__all__`."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from onchip import nn
from onchip.errors import RequestError
from onchip.neurons.base import Neuron

__all__ = ["conv_small", "conv_wide", "mlp", "mlp_wide"]


GAIN = 3.0
"""Factor on torch's range of initial weights before neurons that integrate over time steps."""


def mlp(shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
    """256-256-classes, fully connected."""
    return _dense(shape, classes, (256, 256), neuron)


def mlp_wide(shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
    """800-800-classes, fully connected. Reference: Xiao et al. 2024 (OPZO, arXiv 2407.12516), MNIST."""
    return _dense(shape, classes, (800, 800), neuron)


def conv_small(shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
    """16C3-P2-32C3-P2-classes: two convolutions of 3x3, each pooled by 2."""
    return _convolutional(shape, classes, (16, 32), neuron)


def conv_wide(shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
    """32C3-P2-64C3-P2-classes: two wider convolutions of 3x3, each pooled by 2."""
    return _convolutional(shape, classes, (32, 64), neuron)


def _dense(
    shape: tuple[int, ...], classes: int, widths: tuple[int, ...], neuron: Callable[[], Neuron]
) -> nn.Sequential:
    layers: list[torch.nn.Module] = [nn.Flatten()]
    inputs = math.prod(shape)
    for width in widths:
        layers += [_linear(inputs, width, neuron), neuron()]
        inputs = width
    return nn.Sequential(*layers, *_readout(inputs, classes, neuron))


def _convolutional(
    shape: tuple[int, ...], classes: int, widths: tuple[int, ...], neuron: Callable[[], Neuron]
) -> nn.Sequential:
    channels, height, width = shape
    layers: list[torch.nn.Module] = []
    for maps in widths:
        layer = nn.Conv2d(channels, maps, 3, padding=1, bias=not _timed(neuron))
        pool = nn.EarliestPool2d(2) if _timed(neuron) else nn.AvgPool2d(2)
        layers += [_initialised(layer, neuron), neuron(), pool]
        channels, height, width = maps, height // 2, width // 2
    if min(height, width) < 1:
        least = 2 ** len(widths)
        raise RequestError(
            f"got images of {shape[1]}x{shape[2]} pixels; {len(widths)} pools by 2 need at least {least}x{least}"
        )
    return nn.Sequential(*layers, nn.Flatten(), *_readout(channels * height * width, classes, neuron))


def _readout(inputs: int, classes: int, neuron: Callable[[], Neuron]) -> list[torch.nn.Module]:
    if _timed(neuron):
        return [_linear(inputs, classes, neuron), nn.TTFSReadout()]
    return [nn.Linear(inputs, classes)]


def _linear(inputs: int, outputs: int, neuron: Callable[[], Neuron]) -> torch.nn.Module:
    return _initialised(nn.Linear(inputs, outputs, bias=not _timed(neuron)), neuron)


def _timed(neuron: Callable[[], Neuron]) -> bool:
    return neuron().signal == "times"


def _initialised(layer: nn.Linear | nn.Conv2d, neuron: Callable[[], Neuron]) -> torch.nn.Module:
    """Weights that keep layers alive from the first step."""
    if _timed(neuron):
        # He's variance, as Goupy et al. 2025 draw them.
        torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    else:
        # torch's own range leaves the second layer of neurons silent at T = 6: it fires at a rate of 0.000.
        with torch.no_grad():
            layer.weight.mul_(GAIN)
    return layer
