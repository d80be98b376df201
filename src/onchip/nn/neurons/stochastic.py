"""Neurons whose activity is a random spike train, and the read-out of such trains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from onchip.kernels import running
from onchip.kernels.lif import unpool
from onchip.nn.neurons.base import Drive, Neuron, Tape, require
from onchip.nn.signals import Signal, Static
from onchip.nn.spike_train import RandomPhaseTrain, SpikeTrain, winner_take_all

__all__ = ["MeanReadout", "Stochastic"]


class _Streamed(Neuron):
    """Base of layers that read spike trains (T, B, features...).

    Args:
        memory: α, the share of the sum of drives that is kept from one step to the next, in [0, 1].
    """

    signal = "streams"

    def __init__(self, memory: float) -> None:
        super().__init__()
        self._memory = memory

    def planes(self, signal: Signal) -> Drive:
        return signal

    def forward(self, drive: Drive, pool: int | None = None) -> Tensor:
        """Activity (T, B, features...) for a drive (T, B, features...), from rest; its derivative is `adjoint`."""
        activity: Tensor = _Streams.apply(_written_out(drive), self, pool)
        return activity

    def backward_through_time(self, error: Tensor, tape: Tape) -> Tensor:
        return running.mean_adjoint_(self.backward_local(error, tape), self._memory)


class Stochastic(_Streamed):
    """Neurons that fire at random, as often as their potential says.

        a[t] = potential of the drives up to t,   P(h[t] = 1) = p[t] = clip(a[t], 0, 1)

    The local derivative is the clip's: 1 where 0 < a[t] < 1, else 0. An average pool is taken of p, so that what
    the layer sends is spikes, too.

    Args:
        train: how p becomes spikes.
        potential: `mean`, the running mean of the drives; `filter`, their exponential mean, corrected for its start;
            or `instant`, the drive of the step alone.
        time_constant: of `filter`, in time steps, above 0.
        gate: whether the derivative is judged by the `potential`, or by the `count` of the neuron's own spikes: 1
            once it has both fired and missed a step.

    Raises:
        RequestError: a value out of range.

    Example:
        >>> Stochastic()(torch.full((8, 1, 2), 0.25)).sum(0)  # a quarter of eight steps
        tensor([[2., 2.]])

    Reference: Biswas, Saraswat, Ganguly 2023 (SSNN-BP, arXiv 2207.09755).
    """

    fuses_pool = True

    def __init__(
        self,
        *,
        train: SpikeTrain = RandomPhaseTrain(),
        potential: Literal["mean", "filter", "instant"] = "mean",
        time_constant: float = 8.0,
        gate: Literal["potential", "count"] = "potential",
    ) -> None:
        require(time_constant > 0, self, "time_constant", time_constant, "a number of time steps above 0")
        require(gate in ("potential", "count"), self, "gate", repr(gate), "'potential' or 'count'")
        memories = {"mean": 1.0, "filter": math.exp(-1.0 / time_constant), "instant": 0.0}
        require(potential in memories, self, "potential", repr(potential), "'mean', 'filter' or 'instant'")
        super().__init__(memories[potential])
        self._encode = train
        self._by_count = gate == "count"
        self._described = f"train={train}, potential={potential!r}, gate={gate!r}"

    def run(self, drive: Drive, rest: Tensor | None, pool: int | None) -> tuple[Tensor, Tape, Tensor | None]:
        drive = _written_out(drive)
        shape = _pooled(drive.shape[1:], pool)
        before = _State.new(drive[0], shape) if rest is None else _State.unpacked(rest, drive.shape[1:], shape)
        sums = running.sum_(drive, self._memory, before.sums)
        after = _State(sums[-1].clone(), before.clock.clone(), before.phase, before.count)
        potential, after.clock[0] = running.mean_(sums, self._memory, _begun(rest, before))
        gate = (potential > 0) & (potential < 1)
        probability = potential.clamp_(0, 1)
        if pool is not None:
            probability = F.avg_pool2d(probability.flatten(0, 1), pool).unflatten(0, drive.shape[:2])
        spikes, phase = self._encode(probability.clone(), None if rest is None else before.phase.clone())
        after.phase = before.phase if phase is None else phase
        if self._by_count:
            counts = running.sum_(spikes.clone(), before=before.count)
            steps = before.clock[1] + torch.arange(1, len(counts) + 1, dtype=counts.dtype, device=counts.device)
            gate = (counts > 0) & (counts < steps.view(-1, *[1] * (counts.dim() - 1)))
            after.count = counts[-1]
        after.clock[1] += len(drive)
        return spikes, Tape({"gate": gate, "probability": probability}, pool), after.packed()

    def backward_local(self, error: Tensor, tape: Tape) -> Tensor:
        gate = tape.take("gate")
        if tape.pool is None or self._by_count:
            error = error * gate
        if tape.pool is None:
            return error
        folded = error.flatten(0, 1)
        sides = [side * tape.pool for side in folded.shape[2:]]
        wide = folded.new_empty(*folded.shape[:2], *sides).contiguous(memory_format=torch.channels_last)
        spread = unpool(folded, tape.pool, wide).unflatten(0, error.shape[:2])
        return spread if self._by_count else spread.mul_(gate)

    def extra_repr(self) -> str:
        return self._described


class MeanReadout(_Streamed):
    """The read-out of spike trains: what the last synapses have delivered on average so far.

        z[t] = (I[1] + ... + I[t]) / t

    The class is read from the last step (`losses.predict` with `last`). Under local credit errors meet the step in
    which they arise: the error at I[t] is the one at z[t].

    Args:
        inference: what it hands on in evaluation: the `potential` z; or the `vote`, one spike a step, drawn with
            probabilities softmax(z[t]), as their running mean.

    Raises:
        RequestError: an inference of another name.

    Reference: Biswas, Saraswat, Ganguly 2023 (SSNN-BP, arXiv 2207.09755).
    """

    def __init__(self, *, inference: Literal["potential", "vote"] = "potential") -> None:
        names = ("potential", "vote")
        require(inference in names, self, "inference", repr(inference), "'potential' or 'vote'")
        super().__init__(memory=1.0)
        self.inference = inference

    def run(self, drive: Drive, rest: Tensor | None, pool: int | None) -> tuple[Tensor, Tape, Tensor | None]:
        drive = _written_out(drive)
        shape = drive.shape[1:]
        state = _State.new(drive[0], shape) if rest is None else _State.unpacked(rest, shape, shape)
        begun = _begun(rest, state)
        sums = running.sum_(drive, before=state.sums)
        state.sums = sums[-1].clone()
        output, state.clock[0] = running.mean_(sums, weight=begun)
        if self.inference == "vote" and not self.training:
            votes = running.sum_(winner_take_all(output), before=state.count)
            state.count = votes[-1].clone()
            output, _ = running.mean_(votes, weight=begun)
        return output, Tape(), state.packed()

    def backward_local(self, error: Tensor, tape: Tape) -> Tensor:
        return error


@dataclass
class _State:
    """What neurons carry from one chunk of a stream to the next.

    Args:
        sums: of the drives, (B, features...).
        clock: weight n of these sums, and the steps so far, (2,).
        phase: of the spike trains, (B, pooled...).
        count: of the spikes so far, (B, pooled...).
    """

    sums: Tensor
    clock: Tensor
    phase: Tensor
    count: Tensor

    @classmethod
    def new(cls, like: Tensor, pooled: Sequence[int]) -> _State:
        return cls(torch.zeros_like(like), like.new_zeros(2), like.new_zeros(pooled), like.new_zeros(pooled))

    @classmethod
    def unpacked(cls, state: Tensor, shape: Sequence[int], pooled: Sequence[int]) -> _State:
        shapes = (shape, (2,), pooled, pooled)
        parts = state.split([math.prod(sizes) for sizes in shapes])
        return cls(*(part.view(*sizes) for part, sizes in zip(parts, shapes, strict=True)))

    def packed(self) -> Tensor:
        """All of it in one vector."""
        return torch.cat([part.flatten() for part in (self.sums, self.clock, self.phase, self.count)])


def _written_out(drive: Drive) -> Tensor:
    """The drive at every step, (T, B, features...), to be overwritten."""
    return drive.expand().clone() if isinstance(drive, Static) else drive


def _begun(rest: Tensor | None, state: _State) -> float:
    """The clock at the start; a sequence from rest need not wait for its device to say so."""
    return 0.0 if rest is None else float(state.clock[0])


def _pooled(shape: Sequence[int], pool: int | None) -> tuple[int, ...]:
    """Shape (B, C, h, w) that an average pool leaves of (B, C, H, W); the same without one."""
    return tuple(shape) if pool is None else (*shape[:-2], shape[-2] // pool, shape[-1] // pool)


class _Streams(torch.autograd.Function):
    """A layer of such neurons as plain autograd sees it."""

    @staticmethod
    def forward(ctx: Any, drive: Tensor, neuron: _Streamed, pool: int | None) -> Tensor:
        ctx.neuron = neuron
        activity, ctx.tape, _ = neuron.run(drive.clone(), None, pool)  # which overwrites the drive
        return activity

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor, None, None]:
        return ctx.neuron.backward_through_time(error, ctx.tape), None, None
