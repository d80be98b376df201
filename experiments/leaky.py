"""Networks of the experiments on time: one recurrent layer, and a leaky read-out as Bellec et al. 2020 have it."""

from __future__ import annotations

from collections.abc import Callable

from onchip import nn
from onchip.models.layout import Layout

DECAY = 0.9


def r128(shape: tuple[int, ...], classes: int, neuron: Callable[[], nn.Neuron]) -> nn.Sequential:
    """`R128` with a leaky read-out."""
    return nn.Sequential(*Layout("R128")(shape, classes, neuron=neuron), nn.LI(decay=DECAY))
