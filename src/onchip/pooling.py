"""Pooling of spike times."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["EarliestPool2d"]


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
        return -F.max_pool2d(-times, self.kernel_size)

    def extra_repr(self) -> str:
        return str(self.kernel_size)
