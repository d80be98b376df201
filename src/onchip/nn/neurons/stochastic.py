"""Neurons whose activity is a random spike train, and the read-out of such trains."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from onchip._types import checked
from onchip.errors import require
from onchip.kernels import running
from onchip.kernels.lif import unpool
from onchip.nn.neurons.base import Adjoint, Drive, Neuron, SavedTensors
from onchip.nn.neurons.potential import Average, Integrated, Potential, PotentialState
from onchip.nn.signals import SPIKE_TRAINS, Static, expanded, fold_time, per_sample
from onchip.nn.spike_train import RandomPhaseTrain, SpikeTrain, winner_take_all


class StochasticState(NamedTuple):
    """What such neurons carry on in a stream.

    Args:
        sums: See `PotentialState`, as also the next two.
        weight: Weight n of the sums.
        membrane: What is still to be sent, (B, features...).
        steps: Number of time steps so far.
        phase: Phase of the spike trains, (B, pooled...).
        spike_count: Number of spikes so far, (B, pooled...).
    """

    sums: Tensor
    weight: float
    membrane: Tensor
    steps: int
    phase: Tensor
    spike_count: Tensor

    @property
    def potential(self) -> PotentialState:
        """The part that belongs to the potential."""
        return PotentialState(self.sums, self.weight, self.membrane)


class _Streamed(Neuron):
    """Base of layers that read spike trains (T, B, features...)."""

    signal = SPIKE_TRAINS

    def forward(self, drive: Drive, pool: int | None = None) -> Tensor:
        """Activity (T, B, features...) for a drive (T, B, features...), from rest."""
        activity: Tensor = _Streams.apply(_overwritable(drive), self, pool)
        return activity


@checked
class Stochastic(_Streamed):
    """Neurons that fire at random, as often as their potential says.

        a[t] = potential of the drives up to t,   P(h[t] = 1) = p[t] = clip(a[t], 0, 1)

    The local derivative is the clip's: 1 where 0 < a[t] < 1, else 0; under `integrate`, where that holds of the mean
    of the drives. An average pool is taken of p, so that what the layer sends is spikes, too.

    Args:
        train: how p becomes spikes.
        potential: `mean`, the running mean of the drives; `filter`, their exponential mean, corrected for its start;
            `instant`, the drive of the step alone; or `integrate`, the sum of the drives minus the p so far, as in an
            integrate-and-fire neuron with reset by subtraction, whose count is the least noisy.
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
    pools_spikes = False
    recurs = True

    def __init__(
        self,
        *,
        train: SpikeTrain = RandomPhaseTrain(),
        potential: Literal["mean", "filter", "instant", "integrate"] = "mean",
        time_constant: float = 8.0,
        gate: Literal["potential", "count"] = "potential",
    ) -> None:
        require(time_constant > 0, self, "time_constant", time_constant, "a number of time steps above 0")
        super().__init__()
        self._potential = _potential(potential, time_constant)
        self._encode = train
        self._by_count = gate == "count"
        self._described = f"train={train}, potential={potential!r}, gate={gate!r}"
        self._options = {"train": train, "potential": potential, "time_constant": time_constant, "gate": gate}

    def draws(self) -> bool:
        return True

    def options(self) -> dict[str, Any]:
        return dict(self._options)

    def run(
        self, drive: Drive, state: StochasticState | None, pool: int | None
    ) -> tuple[Tensor, SavedTensors, StochasticState]:
        current = _overwritable(drive)
        before = _at_rest(current[0], _pooled(current.shape[1:], pool)) if state is None else state
        probability, gates, potential = self._potential.run_(current, before.potential)
        if pool is not None:
            probability = expanded(per_sample(lambda maps: F.avg_pool2d(maps, pool), probability))
        spikes, phase = self._encode(probability.clone(), None if state is None else before.phase.clone())
        count = before.spike_count
        if self._by_count:
            counts = running.sum_(spikes.clone(), before=count)
            steps = before.steps + torch.arange(1, len(counts) + 1, dtype=counts.dtype, device=counts.device)
            gates = {"gate": (counts > 0) & (counts < steps.view(-1, *[1] * (counts.dim() - 1)))}
            count = counts[-1].clone()
        after = StochasticState(*potential, before.steps + len(spikes), before.phase if phase is None else phase, count)
        return spikes, SavedTensors({**gates, "probability": probability}, pool), after

    def probability(self, saved: SavedTensors) -> Tensor:
        return saved.values["probability"]

    def backward_local(self, error: Tensor, saved: SavedTensors) -> Tensor:
        return self._at_drive(error, saved.pool, saved.take("gate").mul)

    def backward_through_time(self, error: Tensor, saved: SavedTensors) -> Tensor:
        return self._at_drive(error, saved.pool, partial(self._potential.through_time, gates=_through_time(saved)))

    def adjoint(self, saved: SavedTensors, *, cut: bool) -> Adjoint:
        return self._potential.adjoint(_through_time(saved))

    def _at_drive(self, error: Tensor, pool: int | None, derivative: Callable[[Tensor], Tensor]) -> Tensor:
        """The error before an average pool; a derivative by count is that of the pooled spikes."""
        if self._by_count:
            return _unpooled(derivative(error), pool)
        return derivative(_unpooled(error, pool))

    def extra_repr(self) -> str:
        return self._described


@checked
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

    readout = True

    def __init__(self, *, inference: Literal["potential", "vote"] = "potential") -> None:
        super().__init__()
        self.inference = inference

    def draws(self) -> bool:
        return self.inference == "vote"

    def options(self) -> dict[str, Any]:
        return {"inference": self.inference}

    def run(
        self, drive: Drive, state: StochasticState | None, pool: int | None
    ) -> tuple[Tensor, SavedTensors, StochasticState]:
        current = _overwritable(drive)
        before = _at_rest(current[0], current.shape[1:]) if state is None else state
        last_sum, weight, count = before.sums, before.weight, before.spike_count
        sums = running.sum_(current, before=last_sum)
        last_sum = sums[-1].clone()
        output, after = running.mean_(sums, weight=weight)
        if self.inference == "vote" and not self.training:
            votes = running.sum_(winner_take_all(output), before=count)
            count = votes[-1].clone()
            output, _ = running.mean_(votes, weight=weight)
        return output, SavedTensors(), before._replace(sums=last_sum, weight=after, spike_count=count)

    def backward_local(self, error: Tensor, saved: SavedTensors) -> Tensor:
        return error

    def backward_through_time(self, error: Tensor, saved: SavedTensors) -> Tensor:
        return running.mean_adjoint_(error)


def _potential(kind: str, time_constant: float) -> Potential:
    memories = {"mean": 1.0, "filter": math.exp(-1.0 / time_constant), "instant": 0.0}
    return Integrated() if kind == "integrate" else Average(memories[kind])


def _through_time(saved: SavedTensors) -> Tensor:
    """The gates of the derivative through time."""
    gate = saved.take("gate")
    return saved.values.pop("sending", gate)


def _unpooled(error: Tensor, pool: int | None) -> Tensor:
    """The error (T, B, C, H, W) before an average pool, for that after it (T, B, C, h, w)."""
    if pool is None:
        return error
    folded = fold_time(error)
    sides = [side * pool for side in folded.shape[2:]]
    wide = folded.new_empty(*folded.shape[:2], *sides).contiguous(memory_format=torch.channels_last)
    return unpool(folded, pool, wide).unflatten(0, error.shape[:2])


def _at_rest(like: Tensor, pooled: Sequence[int]) -> StochasticState:
    """The state before the first time step, for a drive (B, features...) and spikes of shape `pooled`."""
    return StochasticState(
        torch.zeros_like(like), 0.0, torch.zeros_like(like), 0, like.new_zeros(pooled), like.new_zeros(pooled)
    )


def _overwritable(drive: Drive) -> Tensor:
    """The drive at every time step, (T, B, features...), which may be overwritten."""
    return drive.expand().clone() if isinstance(drive, Static) else drive


def _pooled(shape: Sequence[int], pool: int | None) -> tuple[int, ...]:
    """Shape (B, C, h, w) that an average pool leaves of (B, C, H, W); the same without one."""
    return tuple(shape) if pool is None else (*shape[:-2], shape[-2] // pool, shape[-1] // pool)


class _Streams(torch.autograd.Function):
    """A layer of such neurons as plain autograd sees it."""

    @staticmethod
    def forward(ctx: Any, drive: Tensor, neuron: _Streamed, pool: int | None) -> Tensor:
        ctx.neuron = neuron
        activity, ctx.saved, _ = neuron.run(drive.clone(), None, pool)  # which overwrites the drive
        return activity

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor, None, None]:
        return ctx.neuron.backward_through_time(error, ctx.saved), None, None
