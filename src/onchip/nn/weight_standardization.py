"""Convolutions whose weights are standardized."""

import math

import torch
from torch import Tensor, nn

from onchip._types import checked
from onchip.errors import RequestError


@checked
class WeightStandardizedConv2d(nn.Conv2d):
    """A convolution with weights of zero mean and one size for each output channel.

        Ŵ_o = g_o (W_o - mean W_o) / sqrt(var W_o · n + ε),   n = inputs per output

    It keeps deep layers alive without normalizing activity, so it needs no statistics of batches, and a chip stores
    Ŵ alone. W and g are the parameters; all that rules read or copy, and all that neurons see, is Ŵ.

    Args:
        channels: of the input.
        maps: of the output.
        kernel_size: side of the kernel, in pixels.
        stride: in pixels.
        padding: in pixels.
        bias: whether there is one.
        gain: g at first. With 2, LIF neurons with their default constants fall silent from the third layer on.

    Raises:
        RequestError: a gain that is not a positive number.

    Reference: Qiao et al. 2019 (arXiv 1903.10520); with a gain as in Brock et al. 2021 (ICLR) and Xiao et al. 2022
        (OTTT, NeurIPS).
    """

    def __init__(
        self,
        channels: int,
        maps: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        gain: float = 4.0,
    ) -> None:
        super().__init__(channels, maps, kernel_size, stride=stride, padding=padding, bias=bias)
        if not 0.0 < gain < math.inf:
            raise RequestError(f"WeightStandardizedConv2d got gain={gain}; expected a positive number")
        self.gain = nn.Parameter(torch.full((maps, 1, 1, 1), float(gain)))

    def standardized(self) -> Tensor:
        """Ŵ (out, in, kh, kw); autograd carries what it gets to W and g."""
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), keepdim=True, correction=0)
        # Brock et al.'s ε: far below var · n of any usual first weights.
        scale = torch.rsqrt(variance * self.weight[0].numel() + 1e-4)
        return (self.weight - mean) * (scale * self.gain)

    def forward(self, input: Tensor) -> Tensor:
        """Drive (N, out, ...) for activity (N, in, ...)."""
        return self._conv_forward(input, self.standardized(), self.bias)
