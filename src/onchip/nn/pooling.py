"""Pooling of spike times."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onchip._types import checked
from onchip.kernels import native


@checked
class EarliestPool2d(nn.Module):
    """Passes on the earliest spike of each square window: max-pooling for spike times.

    Args:
        kernel_size: side of the window and step from one to the next, in pixels.

    Example:
        >>> import torch
        >>> EarliestPool2d(2)(torch.tensor([[[[0.3, float("inf")], [0.1, 0.9]]]])).item()
        0.10000000149011612

    Reference: Goupy et al. 2025 (arXiv 2505.13741), section 3.
    """

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size

    def forward(self, times: Tensor) -> Tensor:
        """Spike times (B, C, H, W), inf = silent, to (B, C, H // k, W // k)."""
        if _compiled(times, self.kernel_size):
            pooled: Tensor = _Earliest.apply(times, self.kernel_size)
            return pooled
        return -F.max_pool2d(-times, self.kernel_size)

    def extra_repr(self) -> str:
        return str(self.kernel_size)


class _Earliest(torch.autograd.Function):
    """The pool in compiled code, for maps in channels_last order that the windows tile."""

    @staticmethod
    def forward(ctx: Any, times: Tensor, side: int) -> Tensor:
        batch, channels, height, width = times.shape
        grid = batch, channels, height // side, width // side
        earliest = torch.empty(grid, dtype=times.dtype, memory_format=torch.channels_last)
        which = torch.empty_like(earliest, dtype=torch.uint8)
        _call("onchip_earliest", times, earliest, which, times.shape, side)
        ctx.save_for_backward(which)
        ctx.side, ctx.shape = side, times.shape
        return earliest

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor, None]:
        (which,) = ctx.saved_tensors
        error = error.contiguous(memory_format=torch.channels_last)
        spread = torch.empty(ctx.shape, dtype=error.dtype, memory_format=torch.channels_last)
        _call("onchip_earliest_backward", error, which, spread, ctx.shape, ctx.side)
        return spread, None


def _compiled(times: Tensor, side: int) -> bool:
    """Whether compiled code can pool these times, of which at most 256 are in a window."""
    if times.dim() != 4 or times.shape[2] % side or times.shape[3] % side or side > 16:
        return False
    in_rows = times.is_contiguous(memory_format=torch.channels_last)
    return in_rows and native.scan("onchip_earliest", times.detach().unsqueeze(0)) is not None


def _call(name: str, first: Tensor, second: Tensor, third: Tensor, shape: torch.Size, side: int) -> None:
    batch, channels, height, width = shape
    pool = native.function(name)
    assert pool is not None, "asked for before"
    pool(first.data_ptr(), second.data_ptr(), third.data_ptr(), batch, height, width, channels, side)
