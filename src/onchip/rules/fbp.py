"""Frozen backpropagation."""

import warnings
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from onchip._types import checked
from onchip.errors import RequestError, require
from onchip.learning.coding.base import ErrorCode
from onchip.learning.coding.real import RealErrors
from onchip.learning.description import ErrorPath
from onchip.learning.feedback.stored import CopiedFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.through_time import ThroughTime
from onchip.nn.graph_builder import build_graph
from onchip.transport import Full, Transport
from onchip.transport.budget import plan_within_budget
from onchip.transport.schedule import Balanced, Doubling, Schedule


@checked
def fbp(
    model: nn.Module,
    *,
    period: int | Doubling | Balanced | None = None,
    transport: Transport | None = None,
    budget: float | None = None,
    temporal: Temporal = ThroughTime(),
    code: ErrorCode = RealErrors(),
) -> Rule:
    """Frozen backpropagation: errors come down through a copy of the weights that is refreshed from time to time.

        g = B^T δ,   B = W_0 at first; every Φ steps W, or a part of it, is sent to B

    Without options, the budget is a thousandth of the bits that `bp` transports.

    Limit: equal to `bp`, bit for bit, with `period=1` and `transport=Full()`; to `never` before the first transport.
    Cost: 1 / Φ of the transport of `bp`, times the share that `transport` sends; at most `budget` bits per step.
        Feedback weights need as much memory as the forward weights.

    Args:
        model: A network of `onchip.nn`.
        period: Training steps Φ between transports, at least 1; or `Doubling(longest)`, with intervals that double up
            to the longest; or `Balanced(Φ)`, with one period per layer and the bits of one Φ for all. The default is
            100 if a transport is given.
        transport: What each transport sends, from `onchip.transport`; `Full()` by default if a period is given.
        budget: Bits per training step, instead of a period. The periods are balanced, and the transport, unless it is
            given, is the best of our schemes for this budget.
        temporal: Temporal credit assignment: `ThroughTime()` by default, or `Online()`; `Counts()` for error spikes.
        code: Representation of errors: `RealErrors()` by default, or `SpikeErrors()` in networks of `Stochastic`
            neurons.

    Raises:
        RequestError: the period is below 1, the budget is not positive, both are given, or there is a budget for
            messages whose size is not known in advance.

    Reference: Goupy et al. 2025 (arXiv 2505.13741), sections 3 and 4; budgets are ours.
    """
    if period is not None and budget is not None:
        raise RequestError(f"fbp got period={period} and budget={budget}; a budget chooses the periods. Leave one out")
    schedule: Schedule
    if budget is not None or (period is None and transport is None):
        weights = [layer.weight for layer in build_graph(model).layers[1:]]
        mean_period, transport = plan_within_budget(budget, weights, transport)
        schedule = Balanced(mean_period)
    else:
        schedule = _intervals(100 if period is None else period)
        transport = Full() if transport is None else transport
    return Rule("fbp", model, feedback=FrozenFeedback(schedule, transport), temporal=temporal, code=code)


def _intervals(period: int | Doubling | Balanced) -> Schedule:
    if not isinstance(period, int):
        return period
    expected = "at least 1 training step between transports. To transport nothing, use the rule `never`"
    require(period >= 1, "fbp", "period", period, expected)
    return Doubling(longest=period, first=period)


class FrozenFeedback(CopiedFeedback):
    """A copy of the forward weights, refreshed by a transport after the training steps of a schedule."""

    claims = replace(CopiedFeedback.claims, no_weight_transport=False)

    def __init__(self, schedule: Schedule, transport: Transport) -> None:
        super().__init__()
        self._schedule = schedule
        self._transport = transport
        self._steps = 0
        self._groups: dict[Doubling, list[int]] = {}  # layers that share their intervals
        self._events: dict[Doubling, int] = {}

    def attach(self) -> None:
        super().attach()
        schedules = self._schedule.layers([self.layers[index].weight for index in self.senders], self._transport)
        for index, intervals in zip(self.senders, schedules, strict=True):
            self._groups.setdefault(intervals, []).append(index)
        self._events = dict.fromkeys(self._groups, 0)
        self.first_refresh = min((intervals.first for intervals in schedules), default=0)

    def paths(self, above: Sequence[int]) -> tuple[ErrorPath, ...]:
        longest = [intervals.longest for intervals, group in self._groups.items() if set(group) & set(above)]
        period, scheme = float(min(longest, default=0)), str(self._transport)
        return tuple(
            replace(path, through="refreshed copy", period=period, scheme=scheme) for path in super().paths(above)
        )

    def refreshes(self, steps: int) -> dict[str, int]:
        return {
            self.layers[index].name: sum(map(intervals.due, range(1, steps + 1)))
            for intervals, group in self._groups.items()
            for index in group
        }

    def step(self) -> None:
        self._steps += 1
        for intervals, group in self._groups.items():
            if intervals.due(self._steps):
                self._refresh(group, self._events[intervals])
                self._events[intervals] += 1

    def _refresh(self, group: list[int], event: int) -> None:
        """One transport event for the layers of a group."""
        weights = [self.layers[index].weight for index in group]
        moved = self._transport([self.weight(index) for index in group], weights, event)
        if event == 0 and not any(layer.scalars for layer in moved):
            warnings.warn(
                f"fbp: {self._transport} moved no weight at its first event, after step {self._steps}; until it "
                "does, this is the rule `never`. Use a lower threshold",
                stacklevel=4,
            )
        for index, layer in zip(group, moved, strict=True):
            self.report_transport(index, layer)

    def get_extra_state(self) -> Tensor:
        return torch.tensor([self._steps, *self._events.values()])

    def set_extra_state(self, state: Tensor) -> None:
        self._steps, *events = state.tolist()
        self._events = dict(zip(self._groups, events, strict=True))
