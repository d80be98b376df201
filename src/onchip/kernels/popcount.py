"""Coincidences of spike trains: how often a postsynaptic and a presynaptic neuron spike in the same step.

    C_ij = sum_r d_ri x_rj,   d and x of 0 and 1, r over the N = T·B rows of time steps and samples

Packed 64 rows to a word, the product is AND and a count of bits: nothing is converted to float.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from onchip.errors import RequestError
from onchip.kernels import native
from onchip.kernels.table import WORDS_AT_ONCE


@dataclass(frozen=True)
class Packed:
    """Spikes ready to be counted, from `pack`.

    Args:
        data: (n, words) int64, 64 rows to a word, where compiled kernels count; else (N, n) uint8.
        rows: N.
    """

    data: Tensor
    rows: int

    @property
    def neurons(self) -> int:
        """n, the number of neurons."""
        return self.data.shape[0] if self.compiled else self.data.shape[1]

    @property
    def compiled(self) -> bool:
        """Whether compiled kernels packed it, and have to count it."""
        return self.data.dtype == torch.int64


def pack(spikes: Tensor) -> Packed:
    """Packs spikes (N, n) of 0 and 1, uint8 or bool.

    Raises:
        RequestError: another type or shape, or a number that is neither 0 nor 1.

    Example:
        >>> x = torch.tensor([[1, 0, 1], [1, 1, 0]], dtype=torch.uint8)
        >>> counts(pack(x)).tolist()
        [2, 1, 1]
    """
    if spikes.dtype not in (torch.uint8, torch.bool) or spikes.dim() != 2:
        raise RequestError(
            f"got spikes of {spikes.dtype} and shape {tuple(spikes.shape)}; expected (N, n) of torch.uint8 or "
            "torch.bool. Draw them in that type: to convert them costs more than packing saves"
        )
    rows, neurons = spikes.shape
    octets = spikes.contiguous().view(torch.uint8)
    packing = native.function("onchip_pack") if spikes.device.type == "cpu" else None
    if packing is None:
        largest = int(octets.amax()) if octets.numel() else 0
    else:
        words = -(-rows // (64 * WORDS_AT_ONCE)) * WORDS_AT_ONCE
        packed = torch.empty(neurons, words, dtype=torch.int64)
        largest = packing(octets.data_ptr(), packed.data_ptr(), rows, neurons, words)
    if largest > 1:
        raise RequestError("got spikes with numbers above 1; expected 0 and 1. Pack signed trains as two, + and -")
    return Packed(octets if packing is None else packed, rows)


def coincidences(up: Packed, down: Packed, pre: Packed) -> tuple[Tensor, Tensor]:
    """Counts of the pulses that raise and lower each weight.

    Args:
        up: positive error spikes d⁺, of N rows and `out` neurons.
        down: negative error spikes d⁻, the same.
        pre: presynaptic spikes x, of N rows and `in` neurons.

    Returns:
        d⁺ᵀ x and d⁻ᵀ x, (out, in) int32 each, exact.

    Raises:
        RequestError: trains of different lengths, or packed for different kernels.

    Example:
        >>> x, d = pack(torch.tensor([[True, False], [True, True]])), pack(torch.tensor([[True], [False]]))
        >>> [counted.tolist() for counted in coincidences(d, d, x)]
        [[[1, 0]], [[1, 0]]]
    """
    return _count(up, pre), _count(down, pre)


def counts(spikes: Packed) -> Tensor:
    """Spikes of each neuron, (n,) int32: its coincidences with an input that is always on, as a bias has it."""
    always = pack(torch.ones(spikes.rows, 1, dtype=torch.uint8, device=spikes.data.device))
    return _count(spikes, always).squeeze(1)


def _count(post: Packed, pre: Packed) -> Tensor:
    if post.rows != pre.rows:
        raise RequestError(f"got spike trains of {post.rows} and {pre.rows} rows; expected the same N = T·B")
    counting = native.function("onchip_coincidences") if post.compiled else None
    if post.compiled != pre.compiled or post.compiled != (counting is not None):
        raise RequestError("got spikes packed for other kernels; pack and count under one choice, on one device")
    if counting is None:
        # Whole numbers are exact in a float up to 2 to the number of its digits.
        exact = torch.float32 if post.rows < 2**24 else torch.float64
        return (post.data.t().to(exact) @ pre.data.to(exact)).to(torch.int32)
    number = torch.empty(post.neurons, pre.neurons, dtype=torch.int32)
    pointers = post.data.data_ptr(), pre.data.data_ptr(), number.data_ptr()
    counting(*pointers, post.neurons, pre.neurons, post.data.shape[1])
    return number
