"""Products with a matrix that is mostly zeros, as spikes are: only what is there is multiplied.

On the machine of docs/speed.md this beats the dense product of 768x800 by 800x800 numbers below half of the places
taken: by 1.7 at a rate of 0.24, by 2.2 at 0.16, by 3.5 at 0.05. Zeros meet no weight here, so a NaN among weights
that nothing reaches does not come through.
"""

from __future__ import annotations

import torch
from torch import Tensor

from onchip.kernels import native

__all__ = ["product"]

DEPTH, WIDE = 100, 64
"""As in sparse.c: rows and columns of the dense matrix that are in the nearest cache at a time."""
FULL = 0.4
"""Share of places taken from which a dense product is as fast."""
SMALL = 2**24
"""Multiplications of a dense product below which it is over before zeros are found."""


def product(x: Tensor, m: Tensor, bias: Tensor | None = None, *, transposed: bool = False) -> Tensor | None:
    """x m + bias; None, and nothing done, where a dense product is the better way.

    Args:
        x: (N, k), the one with zeros; dense in either order.
        m: (k, n), in any order.
        bias: (n,), or None.
        transposed: lay the result (N, n) out column by column.
    """
    (rows, inner), columns = x.shape, m.shape[1]
    if rows * inner * columns < SMALL or columns < WIDE:
        return None
    tensors = [tensor for tensor in (x, m, bias) if tensor is not None]
    plain = all(tensor.dtype == torch.float32 and tensor.device.type == "cpu" for tensor in tensors)
    followed = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    if not plain or followed or torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling():
        return None
    count, scan = native.function("onchip_nonzero", "pi"), native.function("onchip_sparse", "piipiippiiiiippp")
    if count is None or scan is None or not (x.is_contiguous() or x.t().is_contiguous()):
        return None
    found = count(x.data_ptr(), x.numel())
    if found > FULL * x.numel():
        return None
    y = x.new_empty(columns, rows).t() if transposed else x.new_empty(rows, columns)
    entries = torch.empty(found + 1, dtype=torch.int64)  # a place and a value of 32 bits each
    ends = torch.empty(-(-inner // DEPTH) * rows, dtype=torch.int64)
    panels = x.new_empty(-(-columns // WIDE) * WIDE * rows)
    shift = None if bias is None else bias.contiguous().data_ptr()
    sources = x.data_ptr(), *x.stride(), m.data_ptr(), *m.stride(), shift
    scan(*sources, y.data_ptr(), *y.stride(), rows, inner, columns, *(t.data_ptr() for t in (entries, ends, panels)))
    return y
