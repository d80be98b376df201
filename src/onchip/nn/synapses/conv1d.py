"""Convolutions over a sequence of positions, as sound and other sensor data have."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch.nn.functional as F
from torch import Tensor, nn

from onchip.nn.synapses.convolution import ConvolutionSynapse


@final
@dataclass(frozen=True)
class Conv1dSynapse(ConvolutionSynapse):
    """Convolution with W (out, in / groups, kernel): the map of `torch.nn.Conv1d`."""

    modules: ClassVar[tuple[type[nn.Module], ...]] = (nn.Conv1d,)
    axes: ClassVar[tuple[str, ...]] = ("length",)

    def convolved(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.conv1d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)
