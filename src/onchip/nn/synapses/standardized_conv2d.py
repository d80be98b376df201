"""Convolutions over images whose weights are standardized."""

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor, nn

from onchip.nn.synapses.conv2d import Conv2dSynapse
from onchip.nn.weight_standardization import WeightStandardizedConv2d


@final
@dataclass(frozen=True)
class StandardizedConv2dSynapse(Conv2dSynapse):
    """The map of `onchip.nn.WeightStandardizedConv2d`, whose W is computed from the layer's parameters."""

    modules: ClassVar[tuple[type[nn.Module], ...]] = (WeightStandardizedConv2d,)

    def weight_of(self, module: nn.Module) -> Tensor:
        assert isinstance(module, WeightStandardizedConv2d)
        return module.standardized()
