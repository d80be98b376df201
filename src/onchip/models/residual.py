"""Residual networks for small images."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from onchip import nn
from onchip.errors import RequestError
from onchip.nn.neurons.base import Neuron


@dataclass(frozen=True)
class ResNet:
    """A convolution of 3x3, then groups of blocks of two, each group of twice the maps and half the side.

    Weights are standardized and activity is not normalized; spikes are added at the end of a block. `nn.Residual`
    says what rules make of that. Calling it builds the network.

    Args:
        maps: of the first group.
        blocks: in each group.
        about: where the network comes from.

    Raises:
        RequestError: when called with neurons whose spikes do not add up, or for input that is no image.
    """

    maps: int
    blocks: tuple[int, ...]
    about: str = ""

    def __str__(self) -> str:
        return f"{self.maps}C3WS, groups of {', '.join(map(str, self.blocks))} residual blocks"

    def __call__(self, shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
        """The network, for images of `shape` (C, H, W), with its first weights from torch's generator."""
        if len(shape) != 3:
            raise RequestError(
                f"residual networks got input of shape {shape}; expected images (C, H, W). Use a layout such as "
                "F128-F128 for other features"
            )
        if not neuron().signal.residual:
            raise RequestError(
                f"residual networks add spikes, and those of {type(neuron()).__name__} do not add up; "
                "expected LIF or IF neurons"
            )
        layers: list[torch.nn.Module] = [nn.WeightStandardizedConv2d(shape[0], self.maps, 3, padding=1), neuron()]
        channels = self.maps
        for group, blocks in enumerate(self.blocks):
            maps = self.maps * 2**group
            for block in range(blocks):
                layers.append(_block(channels, maps, neuron, halves=group > 0 and block == 0))
                channels = maps
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def _block(channels: int, maps: int, neuron: Callable[[], Neuron], *, halves: bool) -> nn.Residual:
    body = nn.Sequential(
        nn.WeightStandardizedConv2d(channels, maps, 3, stride=2 if halves else 1, padding=1),
        neuron(),
        nn.WeightStandardizedConv2d(maps, maps, 3, padding=1),
        neuron(),
    )
    if not halves:
        return nn.Residual(body)
    return nn.Residual(body, nn.Sequential(nn.WeightStandardizedConv2d(channels, maps, 1, stride=2), neuron()))
