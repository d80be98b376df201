"""Products with a matrix that is mostly zeros, as spikes are: only the other entries are multiplied.

On the machine of docs/speed.md this is faster than the dense product of 768x800 by 800x800 numbers where less than half
of the entries are not zero: by 1.7 at a rate of 0.24, by 2.2 at 0.16, by 3.5 at 0.05. Zeros are not multiplied, so a
NaN among weights that no activity reaches does not propagate.
"""

import torch
from torch import Tensor

from onchip.kernels import native
from onchip.kernels.table import SPARSE_DEPTH, SPARSE_WIDTH
from onchip.kernels.tracing import traced

FULL = 0.4
"""Share of entries other than zero from which a dense product is as fast."""
SMALL = 2**24
"""Multiplications of a dense product below which it is faster than the search for zeros."""


def product(x: Tensor, m: Tensor, bias: Tensor | None = None, *, transposed: bool = False) -> Tensor | None:
    """x m + bias; None, with nothing computed, where a dense product is faster.

    Args:
        x: (N, k), the one with zeros; dense in either order.
        m: (k, n), in any order.
        bias: (n,), or None.
        transposed: store the result (N, n) column by column.
    """
    (rows, inner), columns = x.shape, m.shape[1]
    # A tracer cannot branch on the number of rows.
    if traced() or rows * inner * columns < SMALL or columns < SPARSE_WIDTH:
        return None
    tensors = [tensor for tensor in (x, m, bias) if tensor is not None]
    plain = all(tensor.dtype == torch.float32 and tensor.device.type == "cpu" for tensor in tensors)
    followed = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    if not plain or followed or torch.is_autocast_enabled("cpu"):
        return None
    count, scan = native.function("onchip_nonzero"), native.function("onchip_sparse")
    if count is None or scan is None or not (x.is_contiguous() or x.t().is_contiguous()):
        return None
    nonzero = count(x.data_ptr(), x.numel())
    if nonzero > FULL * x.numel():
        return None
    y = x.new_empty(columns, rows).t() if transposed else x.new_empty(rows, columns)
    entries = torch.empty(nonzero + 1, dtype=torch.int64)  # a place and a value of 32 bits each
    ends = torch.empty(-(-inner // SPARSE_DEPTH) * rows, dtype=torch.int64)
    panels = x.new_empty(-(-columns // SPARSE_WIDTH) * SPARSE_WIDTH * rows)
    shift = None if bias is None else bias.contiguous().data_ptr()
    sources = x.data_ptr(), *x.stride(), m.data_ptr(), *m.stride(), shift
    scan(*sources, y.data_ptr(), *y.stride(), rows, inner, columns, *(t.data_ptr() for t in (entries, ends, panels)))
    return y
