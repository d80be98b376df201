"""Frozen backpropagation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from onchip.credit import Layered, Observer, Temporal
from onchip.errors import RequestError
from onchip.parts import ThroughTime
from onchip.plan import Stage
from onchip.rule import Rule
from onchip.transport import Full, Transport, Transported

__all__ = ["fbp"]


def fbp(
    model: nn.Module,
    *,
    period: int = 100,
    transport: Transport | None = None,
    temporal: Temporal | None = None,
) -> Rule:
    """Frozen backpropagation: errors come down through a copy of the weights that is refreshed now and then.

        g = B^T δ,   B = W_0 at first, then part of W is copied into B after every `period` steps

    Limit: equal to `bp`, bit for bit, with `period=1` and `transport=Full()`.
    Cost: 1 / period of `bp`'s transport, times the share that `transport` copies; feedback weights take
        as much memory as the forward ones.

    Args:
        model: a network of `onchip.nn`.
        period: Φ, training steps from one transport to the next, at least 1.
        transport: what is copied at each transport; `Full()` by default, or `Top(fraction)`.
        temporal: what of the past counts; `ThroughTime()` by default, or `Online()`.

    Raises:
        RequestError: a period below 1.

    Reference: Goupy et al. 2025 (arXiv 2505.13741), sections 3 and 4.
    """
    return Rule("fbp", model, feedback=Frozen(period, transport or Full()), temporal=temporal or ThroughTime())


class Frozen(Layered):
    """A copy of the forward weights, refreshed by a transport after every `period` steps."""

    def __init__(self, period: int, transport: Transport) -> None:
        super().__init__()
        if period < 1:
            raise RequestError(f"fbp got period={period}; expected at least 1 training step between transports")
        self._period = period
        self._transport = transport
        self._stages: tuple[Stage, ...] = ()
        self._steps = 0

    def attach(self, stages: Sequence[Stage]) -> None:
        self._stages = tuple(stages)
        for index, stage in enumerate(stages[1:], start=1):
            self.register_buffer(f"feedback_{index}", stage.weight.detach().clone())

    def tell_initial(self, observer: Observer) -> None:
        for stage in self._stages[1:]:
            observer.transport(stage.name, Transported.whole(stage.weight), initial=True)

    def weight(self, index: int) -> Tensor:
        return self.get_buffer(f"feedback_{index}")

    def step(self) -> None:
        self._steps += 1
        if self._steps % self._period:
            return
        for index, stage in enumerate(self._stages[1:], start=1):
            self.tell_transport(stage, self._transport(self.weight(index), stage.weight))

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self._steps)

    def set_extra_state(self, state: Tensor) -> None:
        self._steps = int(state)
