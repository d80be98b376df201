"""What to transport, and when, for a number of bits a training step."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from onchip.errors import RequestError
from onchip.transport import Full, LowRank, Transport
from onchip.transport.base import planned_bits, value_bits

__all__ = ["USUAL_SAVING", "within"]

USUAL_SAVING = 1000
"""How many times fewer bits than BP a budget has that nobody set (docs/fbp.md)."""

RANKS = (1, 2, 4, 8)
WAIT = 3
"""Steps between messages, in the mean, that the rank is chosen for. Below, a whole number of steps cannot balance
the layers; above, it makes no difference whether two pairs are sent at once or one twice as often (docs/fbp.md)."""


def within(
    budget: float | None, weights: Sequence[Tensor], transport: Transport | None = None
) -> tuple[float, Transport]:
    """The mean period Φ of all layers, in steps, and the transport that keep to a budget.

    The transport is `LowRank` in 4 bits, of the least rank whose messages are due no more often than every
    third step in the mean, or of rank 8; `Full` where the budget suffices for every weight at every step.

    Args:
        budget: bits a training step, above 0; None for a thousandth of what BP moves.
        weights: W of each layer that has feedback.
        transport: what each message holds, if that is settled.

    Raises:
        RequestError: a budget that is no positive number, or a transport whose messages differ in size.

    Example:
        >>> from torch import empty
        >>> within(1000, [empty(100, 200)])
        (4.928, LowRank(rank=4, bits=4))
    """
    every_weight = sum(value_bits(weight, weight.numel()) for weight in weights)
    if budget is None:
        budget = max(every_weight, 1) / USUAL_SAVING
    if not (budget > 0 and math.isfinite(budget)):
        raise RequestError(
            f"fbp got budget={budget}; expected a positive number of bits a training step. "
            "To transport nothing, use the rule `never`"
        )
    if transport is None and budget >= every_weight:
        transport = Full()
    for tried in [LowRank(rank) for rank in RANKS] if transport is None else [transport]:
        period = sum(planned_bits(tried, weights)) / budget
        if period >= WAIT:
            break
    return max(1.0, period), tried
