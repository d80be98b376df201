"""What to transport, and when, for a number of bits per training step."""

import math
from collections.abc import Sequence

from torch import Tensor

from onchip.errors import require
from onchip.transport import Full, LowRank, Transport
from onchip.transport.base import planned_bits, value_bits

USUAL_SAVING = 1000
"""Transported bits of BP divided by the default budget (docs/fbp.md)."""

RANKS = (1, 2, 4, 8)
LEAST_PERIOD = 3
"""Mean number of steps between messages that the rank is chosen for. With fewer, periods of whole steps cannot balance
the layers; with more, two pairs at once or one pair twice as often make no difference (docs/fbp-schemes.md)."""


def plan_within_budget(
    budget: float | None, weights: Sequence[Tensor], transport: Transport | None = None
) -> tuple[float, Transport]:
    """Mean period Φ of all layers, in training steps, and the transport, that keep to a budget.

    The transport is `LowRank` with 4 bits and the least rank for which Φ is at least 3 steps, or rank 8; it is `Full`
    if the budget suffices for every weight at every step.

    Args:
        budget: Bits per training step, above 0; None for a thousandth of what BP moves.
        weights: Forward weights W of each layer that has feedback weights.
        transport: The transport, if it is given.

    Raises:
        RequestError: the budget is not a positive number, or the size of the messages is not known in advance.

    Example:
        >>> from torch import empty
        >>> plan_within_budget(1000, [empty(100, 200)])
        (4.928, LowRank(rank=4, bits=4))
    """
    every_weight = sum(value_bits(weight, weight.numel()) for weight in weights)
    if budget is None:
        budget = max(every_weight, 1) / USUAL_SAVING
    expected = "a positive number of bits per training step. To transport nothing, use the rule `never`"
    require(budget > 0 and math.isfinite(budget), "fbp", "budget", budget, expected)
    if transport is None and budget >= every_weight:
        transport = Full()
    for candidate in [LowRank(rank) for rank in RANKS] if transport is None else [transport]:
        period = sum(planned_bits(candidate, weights)) / budget
        if period >= LEAST_PERIOD:
            break
    return max(1.0, period), candidate
