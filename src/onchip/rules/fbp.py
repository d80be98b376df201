"""Frozen backpropagation."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from onchip.claims import Claims
from onchip.credit import Temporal
from onchip.errors import RequestError
from onchip.parts import Copied, Doubling, ThroughTime
from onchip.rule import Rule
from onchip.transport import Full, Transport

__all__ = ["fbp"]


def fbp(
    model: nn.Module,
    *,
    period: int | Doubling = 100,
    transport: Transport = Full(),
    temporal: Temporal = ThroughTime(),
) -> Rule:
    """Frozen backpropagation: errors come down through a copy of the weights that is refreshed now and then.

        g = B^T δ,   B = W_0 at first, then part of W is copied into B after every `period` steps

    Limit: equal to `bp`, bit for bit, with `period=1` and `transport=Full()`; to `never`, before the first
        transport.
    Cost: 1 / period of `bp`'s transport, times the share that `transport` copies; feedback weights take
        as much memory as the forward ones.

    Args:
        model: a network of `onchip.nn`.
        period: Φ, training steps from one transport to the next, at least 1; or `Doubling(longest)`, with
            intervals that double up to the longest.
        transport: what is moved at each transport, from `onchip.transport`; `Full()` by default.
        temporal: what of the past counts; `ThroughTime()` by default, or `Online()`.

    Raises:
        RequestError: a period below 1.

    Reference: Goupy et al. 2025 (arXiv 2505.13741), sections 3 and 4.
    """
    if isinstance(period, int):
        if period < 1:
            raise RequestError(
                f"fbp got period={period}; expected at least 1 training step between transports. "
                "To transport nothing, use the rule `never`"
            )
        schedule = Doubling(longest=period, first=period)
    else:
        schedule = period
    return Rule(
        "fbp",
        model,
        feedback=Frozen(schedule, transport),
        temporal=temporal,
        claims=Claims(own_feedback=True, causal=temporal.streams, online=temporal.streams, own_sample=True),
    )


class Frozen(Copied):
    """A copy of the forward weights, refreshed by a transport whenever the schedule says so."""

    def __init__(self, schedule: Doubling, transport: Transport) -> None:
        super().__init__()
        self._schedule = schedule
        self._transport = transport
        self._steps = self._events = 0
        self.first_refresh = schedule.first

    def step(self) -> None:
        self._steps += 1
        if not self._schedule.due(self._steps) or len(self._stages) == 1:
            return
        stages = self._stages[1:]
        feedback = [self.weight(index) for index in range(1, len(self._stages))]
        moved = self._transport(feedback, [stage.weight for stage in stages], self._events)
        if self._events == 0 and not any(layer.scalars for layer in moved):
            warnings.warn(
                f"fbp: {self._transport} moved no weight at its first event, after step {self._steps}; as long as "
                "that is so, this is the rule `never`. Use a lower threshold",
                stacklevel=3,
            )
        self._events += 1
        for stage, layer in zip(stages, moved, strict=True):
            self.tell_transport(stage, layer)

    def get_extra_state(self) -> Tensor:
        return torch.tensor([self._steps, self._events])

    def set_extra_state(self, state: Tensor) -> None:
        self._steps, self._events = state.tolist()
