"""Products in bfloat16 of float32 operands: matrix units of GPUs and newer CPUs compute these fastest."""

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

    Weights, biases, membranes, traces and errors stay float32 between products. Spikes are exact in bfloat16; any
    other operand, and the result, has a relative error of at most 2^-9.
    """

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        product = self.inner.apply(x.bfloat16(), weight.bfloat16(), None)
        if bias is None:
            return product.float()
        # One pass that widens and adds: (N, out) or (N, out, positions...)
        return product + bias.view(-1, *[1] * (product.dim() - 2))

    def backward_input(self, delta: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        return self.inner.backward_input(delta.bfloat16(), weight.bfloat16(), shape).float()

    def weight_grad(self, pre: Tensor, delta: Tensor) -> Tensor:
        return self.inner.weight_grad(pre.bfloat16(), delta.bfloat16()).float()
