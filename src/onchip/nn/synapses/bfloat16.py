"""Products in bfloat16: matrix units of GPUs and newer CPUs compute these fastest."""

import functools
import platform
import warnings

import torch
from torch import Tensor

from onchip.nn.synapses.wrapper import SynapseWrapper


@functools.cache  # once per device is enough
def warn_if_emulated(device: torch.device) -> None:
    """Warns where the processor has to emulate products in bfloat16."""
    if device.type != "cpu" or platform.machine() not in ("x86_64", "AMD64"):
        return
    if not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        warnings.warn(
            "this processor has no products in bfloat16 (AVX-512 BF16 or AMX); emulated, they take about ten times as "
            "long as in float32",
            stacklevel=3,
        )


class BFloat16Synapse(SynapseWrapper):
    """A synapse with operands and products rounded to bfloat16; sums within a product are float32.

    Operands may be of float32 or bfloat16. Drives and errors are returned in bfloat16, gradients in float32. Spikes are
    exact in bfloat16; any other operand, and the result, has a relative error of at most 2^-9.
    """

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self.inner.apply(x.bfloat16(), weight.bfloat16(), None if bias is None else bias.bfloat16())

    def backward_input(self, delta: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        return self.inner.backward_input(delta.bfloat16(), weight.bfloat16(), shape)

    def weight_grad(self, pre: Tensor, delta: Tensor) -> Tensor:
        return self.inner.weight_grad(pre.bfloat16(), delta.bfloat16()).float()

    def bias_update(self, delta: Tensor) -> Tensor:
        return self.inner.bias_update(delta).float()


class BackwardBFloat16Synapse(BFloat16Synapse):
    """The same for the products of the backward pass alone.

    Spike times need exact sums: a time is a ratio of two of them, and one that moves a little changes which neurons
    fire in the layers above. Errors and gradients are rounded as those of other neurons are.
    """

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self.inner.apply(x, weight, bias)
