"""Convolutions over images."""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from onchip.nn.synapses.convolution import ConvolutionSynapse


@dataclass(frozen=True)
class Conv2dSynapse(ConvolutionSynapse):
    """Convolution with W (out, in / groups, kernel height, kernel width): the map of `torch.nn.Conv2d`."""

    modules: ClassVar[tuple[type[nn.Module], ...]] = (nn.Conv2d,)
    axes: ClassVar[tuple[str, ...]] = ("height", "width")

    def convolved(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)
