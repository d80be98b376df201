"""Running sums and means over time, in place."""

from torch import Tensor


def sum_(series: Tensor, decay: float = 1.0, before: Tensor | None = None) -> Tensor:
    """U[t] = α U[t-1] + x[t], written over x (T, ...); `before` (...) is U before the first step."""
    # A step at a time reads memory in order; torch's own cumsum over the first axis does not.
    for t, now in enumerate(series):
        last = series[t - 1] if t else before
        if last is not None and decay:
            now.add_(last, alpha=decay)
    return series


def mean_(sums: Tensor, decay: float = 1.0, weight: float = 0.0) -> tuple[Tensor, float]:
    """a[t] = U[t] / n[t] with n[t] = α n[t-1] + 1, written over U (T, ...).

    Args:
        sums: U, as `sum_` returns it.
        decay: α.
        weight: n before the first step.

    Returns:
        a, and n after the last step.
    """
    for now in sums:
        weight = decay * weight + 1.0
        now.div_(weight)
    return sums, weight


def mean_adjoint_(error: Tensor, decay: float = 1.0) -> Tensor:
    """dL/dx[t] = sum over s >= t of α^(s-t) dL/da[s] / n[s], written over dL/da (T, ...)."""
    mean_(error, decay)
    return sum_(error.flip(0), decay).flip(0) if len(error) > 1 else error
