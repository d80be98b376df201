"""Products in bfloat16: matrix units of GPUs and newer CPUs compute these fastest."""

import functools
import platform
import warnings

import torch
from torch import Tensor

from onchip.nn.synapses.wrapper import SynapseWrapper


@functools.cache
def has_bfloat16(device: torch.device) -> bool:
    """Whether a device has products in bfloat16; of processors, only those of x86 are known to lack them."""
    if device.type != "cpu" or platform.machine() not in ("x86_64", "AMD64"):
        return True
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


@functools.cache  # once per device is enough
def warn_if_emulated(device: torch.device) -> None:
    """Warns where products in bfloat16 save no time."""
    if not has_bfloat16(device):
        warnings.warn(
            "this processor has no products in bfloat16 (AVX-512 BF16 or AMX); computed in float32 and then rounded, "
            "they are no faster than float32",
            stacklevel=3,
        )


class BFloat16Synapse(SynapseWrapper):
    """A synapse with operands and products rounded to bfloat16; sums within a product are float32.

    Operands may be of float32 or bfloat16. Drives and errors are returned in bfloat16, gradients in float32. Spikes are
    exact in bfloat16; any other operand, and the result, has a relative error of at most 2^-9.

    Where the processor has no products in bfloat16, rounded operands are multiplied in float32, which a product in
    bfloat16 does, too: the results differ in the order of the sums alone. torch's emulation is several times slower.
    """

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self.inner.apply(_rounded(x), _rounded(weight), None if bias is None else _rounded(bias)).bfloat16()

    def backward_input(self, delta: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        return self.inner.backward_input(_rounded(delta), _rounded(weight), shape).bfloat16()

    def weight_grad(self, pre: Tensor, delta: Tensor) -> Tensor:
        return self.inner.weight_grad(_rounded(pre), _rounded(delta)).bfloat16().float()

    def bias_update(self, delta: Tensor) -> Tensor:
        return self.inner.bias_update(delta).float()


def _rounded(operand: Tensor) -> Tensor:
    """The operand in bfloat16, in the type that the device multiplies fastest."""
    rounded = operand.bfloat16()
    return rounded if has_bfloat16(operand.device) else rounded.float()


class BackwardBFloat16Synapse(BFloat16Synapse):
    """The same for the products of the backward pass alone.

    Spike times need exact sums: a time is a ratio of two of them, and one that moves a little changes which neurons
    fire in the layers above. Errors and gradients are rounded as those of other neurons are.
    """

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self.inner.apply(x, weight, bias)
