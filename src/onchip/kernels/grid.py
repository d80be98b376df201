"""Numbers of few bits: rounding to evenly spaced values, to the nearest one, down, or at random."""

from typing import Literal

import torch
from torch import Tensor

__all__ = ["Rounding", "power_of_two", "rounded"]

Rounding = Literal["stochastic", "nearest", "down"]


def rounded(
    values: Tensor,
    quantum: Tensor | float,
    least: int,
    largest: int,
    *,
    rounding: Rounding,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Values on the grid k · quantum with least <= k <= largest; what lies outside saturates.

        v / quantum = n + p,   k = n + (r < p),   r ~ U[0, 1) if stochastic, 1/2 if to the nearest, never if down

    Stochastic rounding has the mean v and the variance p (1 - p) quantum²; values on the grid stay where they are.

    Args:
        values: Any numbers.
        quantum: Distance between adjacent values, above 0: a number, or a tensor that broadcasts.
        least: Smallest k.
        largest: Largest k.
        rounding: At random, to the nearest value, or down.
        generator: Source of the random numbers; None for torch's global generator.

    Reference: Gupta et al. 2015 (Deep learning with limited numerical precision, ICML), section 3.
    """
    steps = values / quantum
    whole = steps.floor()
    if rounding == "stochastic":
        part = steps.sub_(whole)
        whole += torch.rand(part.shape, dtype=part.dtype, device=part.device, generator=generator) < part
    elif rounding == "nearest":
        whole += steps.sub_(whole) >= 0.5
    return whole.clamp_(least, largest).mul_(quantum)


def power_of_two(values: Tensor) -> Tensor:
    """The smallest power of two that is at least as large as each value above 0; 1 for others.

    Example:
        >>> power_of_two(torch.tensor([0.3, 1.0, 5.0]))
        tensor([0.5000, 1.0000, 8.0000])
    """
    mantissa, exponent = torch.frexp(values)  # in [1/2, 1)
    power = torch.ldexp(torch.ones_like(values), exponent - (mantissa == 0.5).to(exponent.dtype))
    return torch.where(values > 0, power, torch.ones_like(values))
