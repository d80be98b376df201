"""The memory of a training step, from records of all allocations in steps on few samples and time steps.

The same operations allocate the same tensors in the same order, whatever the batch. So the size of each allocation is
measured at two batches, and at two numbers of time steps, and extrapolated; the peak is that of the whole sequence of
allocations and releases at the sizes asked for, and may lie elsewhere than in the small steps.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, replace

import torch
from torch.profiler import ProfilerActivity, profile

from onchip.kernels import buffers
from onchip.kernels.buffers import LARGE

FEW = 2, 3
"""Samples, and time steps, of the steps that are recorded. With one sample, some rules do something else."""
SMALL = 16 * 2**10
"""Bytes below which an allocation need not be in all of the records."""
BATCH_READY, FORWARD_OVER, BUFFER_NEXT = 2**20 + 4093, 2**20 + 4111, 2**20 + 4127
"""Bytes of allocations that mark a place in the record; no tensor has such a size."""
MARKS = BATCH_READY, FORWARD_OVER, BUFFER_NEXT


@dataclass(frozen=True)
class StepMemory:
    """Bytes that are allocated at the peak of a training step, by purpose.

    Args:
        weights: Parameters of the network, and its buffers.
        optimizer: State of the optimizer.
        feedback: Feedback weights and other state of the rule.
        batch: Samples, their signal and labels.
        gradients: Gradients that are there at the peak; they are allocated layer by layer.
        activity: What forward passes have stored for the backward pass, and is still there at the peak.
        working: All else: errors, products and other results on the way.
    """

    weights: float
    optimizer: float
    feedback: float
    batch: float
    gradients: float
    activity: float
    working: float

    @property
    def total(self) -> float:
        """The peak."""
        return sum(asdict(self).values())


@dataclass(frozen=True)
class Allocations:
    """What a training step allocates and releases, in order.

    Args:
        changes: Number of an allocation, from 1, where it is made; the negative number where it is released.
        sizes: Bytes of each.
        batch: Numbers of those that hold the batch.
        stored: Numbers of those that are live after a forward pass, and hold no batch.
        gradients: Numbers of those that hold gradients of parameters.
        buffers: Numbers of those that, once large, are used again instead of released.
    """

    changes: tuple[int, ...]
    sizes: tuple[float, ...]
    batch: frozenset[int]
    stored: frozenset[int]
    gradients: frozenset[int]
    buffers: frozenset[int] = frozenset()

    def alike(self, other: Allocations) -> bool:
        """Whether another step made the same allocations but for their sizes."""
        return replace(self, sizes=()) == replace(other, sizes=())

    def large(self) -> Allocations:
        """The same without small allocations, numbered anew."""
        kept = [number for number, size in enumerate(self.sizes, 1) if size >= SMALL]
        place = {number: new for new, number in enumerate(kept, 1)}
        changes = (place[abs(n)] * (1 if n > 0 else -1) for n in self.changes if abs(n) in place)
        groups = (
            frozenset(place[n] for n in group if n in place)
            for group in (self.batch, self.stored, self.gradients, self.buffers)
        )
        return Allocations(tuple(changes), tuple(self.sizes[number - 1] for number in kept), *groups)

    def need(self, weights: float, optimizer: float, feedback: float) -> StepMemory:
        """The peak, given what is there before and after the step.

        A large buffer that is released waits for the next one of its size, as `onchip.kernels.buffers` has it: in the
        second of two equal steps, those of the first are there.
        """
        idle: list[float] = []
        most, held, place = -1.0, 0.0, 0
        for _ in ("first", "second"):
            most, live = -1.0, 0.0
            for at, change in enumerate(self.changes):
                size = self.sizes[abs(change) - 1]
                live += size if change > 0 else -size
                if abs(change) in self.buffers and size >= LARGE:
                    if change < 0:
                        idle.append(size)
                    elif size in idle:
                        idle.remove(size)
                    else:
                        idle.clear()
                if live + sum(idle) > most:
                    most, held, place = live + sum(idle), sum(idle), at
        there: set[int] = set()
        for change in self.changes[: place + 1]:
            there ^= {abs(change)}
        batch, gradients = there & self.batch, there & self.gradients - self.batch
        activity = (there & self.stored) - batch - gradients
        return StepMemory(
            weights,
            optimizer,
            feedback,
            batch=self._bytes(batch),
            gradients=self._bytes(gradients),
            activity=self._bytes(activity),
            working=self._bytes(there - batch - gradients - activity) + held,
        )

    def _bytes(self, numbers: Collection[int]) -> float:
        return sum(self.sizes[number - 1] for number in numbers)


def recorded(step: Callable[[Callable[[int], None]], Iterable[torch.Tensor]]) -> Allocations:
    """The allocations of a training step on the CPU.

    Args:
        step: Takes the step; calls its argument with `BATCH_READY` when the batch is there, and with `FORWARD_OVER`
            after each forward pass; returns the gradients as they are before the optimizer's step.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else libkineto writes to standard error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rules that estimate feedback from few samples
        measured = profile(activities=[ProfilerActivity.CPU], profile_memory=True)
        with measured as profiled, buffers.unshared(lambda: _mark(BUFFER_NEXT)):
            gradients = {gradient.data_ptr() for gradient in step(_mark)}
    results = profiled.profiler.kineto_results
    events = sorted(_allocation_events(results.experimental_event_tree()))
    changes, sizes = list[int](), list[int]()
    live, holds = dict[int, int](), dict[int, int]()
    batch, stored, reused, follows = frozenset[int](), frozenset[int](), frozenset[int](), False
    for _, pointer, size in events:
        if size == BUFFER_NEXT:
            follows = True
        elif size in (BATCH_READY, FORWARD_OVER):
            now = frozenset(live.values())
            batch, stored = (now, stored) if size == BATCH_READY else (batch, stored | now)
        elif size > 0:
            sizes.append(size)
            changes.append(len(sizes))
            live[pointer] = len(sizes)
            if follows:
                reused, follows = reused | {len(sizes)}, False
            if pointer in gradients:
                holds[pointer] = len(sizes)  # the last one before they are read
        elif abs(size) not in MARKS and pointer in live:
            changes.append(-live.pop(pointer))
    return Allocations(
        tuple(changes), tuple(map(float, sizes)), batch, stored - batch, frozenset(holds.values()), reused
    )


def predicted(
    record: Callable[[int, int], Allocations], steps: int, persistent: tuple[float, float, float], *, over_time: bool
) -> Callable[[int], StepMemory]:
    """The memory of a training step as a function of its samples.

    Args:
        record: Takes a step on so many samples and time steps, and returns its allocations.
        steps: Time steps asked for.
        persistent: Bytes of weights, optimizer and feedback, which are there all the time.
        over_time: Whether signals have time steps.
    """
    few, more = FEW
    if over_time and steps > more:
        corner, wider, longer = record(few, few), record(more, few), record(few, more)
        if corner.alike(wider) and corner.alike(longer):
            wide, long = _line(corner, wider, few), _line(corner, longer, few)(steps)
            return lambda batch: _scaled(wide(batch), long, corner).need(*persistent)
    first, second = record(few, steps), record(more, steps)
    if not first.alike(second):
        first, second = first.large(), second.large()
    if first.alike(second):
        return lambda batch: _line(first, second, few)(batch).need(*persistent)
    needs = first.need(*persistent), second.need(*persistent)  # peaks that may be those of other moments

    def need(batch: int) -> StepMemory:
        ends = zip(*(asdict(each).values() for each in needs), strict=True)
        return StepMemory(*(max(0.0, low + (high - low) * (batch - few)) for low, high in ends))

    return need


def most_samples(need: Callable[[int], StepMemory], limit: float) -> int:
    """The largest batch whose step needs no more than `limit` bytes; 0 if none does."""
    low, high = 0, 1
    while high < 2**30 and need(high).total <= limit:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if need(middle).total <= limit else (low, middle)
    return low


def _line(first: Allocations, second: Allocations, start: int) -> Callable[[int], Allocations]:
    """The allocations at any place, from those at `start` and one beyond; each size is a straight line."""

    def at(place: int) -> Allocations:
        pairs = zip(first.sizes, second.sizes, strict=True)
        return replace(first, sizes=tuple(max(0.0, a + (b - a) * (place - start)) for a, b in pairs))

    return at


def _scaled(wide: Allocations, long: Allocations, corner: Allocations) -> Allocations:
    """The allocations of a wide and long step, each in proportion to both: no size is a sum of both kinds."""
    sizes = zip(wide.sizes, long.sizes, corner.sizes, strict=True)
    return replace(wide, sizes=tuple(a * b / c if c else 0.0 for a, b, c in sizes))


def _mark(size: int) -> None:
    torch.empty(size, dtype=torch.uint8)


def _allocation_events(events: Iterable[object]) -> Iterator[tuple[int, int, int]]:
    """Time, address and size of each allocation; of a release, the size is negative."""
    for event in events:
        extra = event.extra_fields  # type: ignore[attr-defined]
        if type(extra).__name__ == "_ExtraFields_Allocation":
            yield event.start_time_ns, extra.ptr, extra.alloc_size  # type: ignore[attr-defined]
        yield from _allocation_events(event.children)  # type: ignore[attr-defined]
