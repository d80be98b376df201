"""Running sums and means over time, in place where no tracer follows, which cannot see through the steps' views."""

import torch
from torch import Tensor

from onchip.kernels.tracing import traced


def sum_(series: Tensor, decay: float = 1.0, before: Tensor | None = None) -> Tensor:
    """U[t] = α U[t-1] + x[t], written over x (T, ...); `before` (...) is U before the first step."""
    # A step at a time reads memory in order; torch's own cumsum over the first axis does not.
    followed, sums, last = traced(), [], before
    for now in series:
        if last is not None and decay:
            now = torch.add(now, last, alpha=decay, out=None if followed else now)
        sums.append(last := now)
    return torch.stack(sums) if followed else series


def mean_(sums: Tensor, decay: float = 1.0, weight: float = 0.0) -> tuple[Tensor, float]:
    """a[t] = U[t] / n[t] with n[t] = α n[t-1] + 1, written over U (T, ...).

    Args:
        sums: U, as `sum_` returns it.
        decay: α.
        weight: n before the first step.

    Returns:
        a, and n after the last step.
    """
    followed, means = traced(), []
    for now in sums:
        weight = decay * weight + 1.0
        means.append(torch.div(now, weight, out=None if followed else now))
    return torch.stack(means) if followed else sums, weight


def mean_adjoint_(error: Tensor, decay: float = 1.0) -> Tensor:
    """dL/dx[t] = sum over s >= t of α^(s-t) dL/da[s] / n[s], written over dL/da (T, ...)."""
    shares, _ = mean_(error, decay)
    return sum_(shares.flip(0), decay).flip(0) if len(shares) > 1 else shares
