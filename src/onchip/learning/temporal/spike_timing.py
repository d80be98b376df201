"""Traces of both sides of a synapse."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from onchip.errors import require
from onchip.kernels.trace import trace
from onchip.learning.description import PostFactor, Term, UpdateForm
from onchip.learning.temporal.base import factors
from onchip.learning.temporal.online import Online
from onchip.nn.neurons.base import Neuron, SavedTensors


class SpikeTiming(Online):
    """Eligibility from inputs that come before the neuron's activity, and from those that come after it.

        e[t] = α ψ[t] a[t] + β x[t] p[t-1],   a[t] = λ a[t-1] + x[t],   p[t] = μ p[t-1] + ψ[t],   ΔW = sum_t g[t] e[t]

    ψ[t] is the surrogate derivative at u[t]. The first term is causal, the second is not; it is left out in read-outs,
    which have no threshold, and in biases, whose input has no time.

    Args:
        causal: α.
        noncausal: β.
        decay: λ, in [0, 1]; None for the decay of the neurons.
        post_decay: μ, in [0, 1].
        last: Time steps at the end of a sequence at which there is an error, at least 1; None for all. Not for streams,
            whose end is not known, nor for sequences of unequal length.

    Raises:
        RequestError: An option is out of range.

    Reference: Apolinario, Roy 2025 (S-TLLR, TMLR; arXiv 2306.15220), equations 10 and 11.
    """

    three_factors = False

    def __init__(
        self, *, causal: float, noncausal: float, decay: float | None, post_decay: float, last: int | None
    ) -> None:
        name = "s_tllr"
        require(math.isfinite(causal), name, "causal", causal, "a finite factor")
        require(math.isfinite(noncausal), name, "noncausal", noncausal, "a finite factor")
        require(decay is None or 0.0 <= decay <= 1.0, name, "decay", decay, "a number in [0, 1], or none")
        require(0.0 <= post_decay <= 1.0, name, "post_decay", post_decay, "a number in [0, 1]")
        require(last is None or last >= 1, name, "last", last, "at least 1 time step, or none")
        self._causal = causal
        self._noncausal = noncausal
        self._decay = decay
        self._post_decay = post_decay
        self._last = last
        self.streams = self.pads = last is None

    def form(self, neuron: Neuron, readout: Neuron, *, last: bool, recurrent: bool) -> UpdateForm:
        decays = tuple(self.decays(neuron))
        if neuron.readout:
            terms: tuple[Term, ...] = (Term(1.0, decays, factors(neuron)),)
            bias = Term(1.0, (), factors(neuron))
        else:
            later = PostFactor("slope", trace=self._post_decay, delay=1)
            earlier = Term(self._causal, decays, factors(neuron))
            terms = (earlier, Term(self._noncausal, (), (PostFactor("error"), later)))
            bias = Term(self._causal, (), factors(neuron))
        return UpdateForm(terms, (bias,), "traces", last_steps=self._last)

    def plain(self, neuron: Neuron) -> bool:
        return False

    def decays(self, neuron: Neuron) -> Sequence[float]:
        return super().decays(neuron) if self._decay is None or neuron.readout else (self._decay,)

    def presynaptic(
        self, signal: Tensor, neuron: Neuron, before: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        traced, last = super().presynaptic(signal, neuron, before)
        return (traced if neuron.readout else _paired(traced, signal)), last

    def static_factors(
        self, steps: int, neuron: Neuron, before: tuple[float, ...] | None
    ) -> tuple[list[float], tuple[float, ...]]:
        factors, last = super().static_factors(steps, neuron, before)
        return (factors if neuron.readout else [value for factor in factors for value in (factor, 1.0)]), last

    def bias_factors(
        self, steps: int, neuron: Neuron, before: tuple[float, ...] | None
    ) -> tuple[list[float] | None, tuple[float, ...]]:
        return (None if neuron.readout else [1.0, 0.0] * steps), ()

    def postsynaptic(
        self, neuron: Neuron, activity: Tensor, saved: SavedTensors, before: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, ...]:
        if neuron.readout:
            return ()
        # What sends a pooled error of pool² to each map has a slope of 1 behind it.
        slopes = neuron.backward_local(torch.full_like(activity, (saved.pool or 1) ** 2), saved.copy())
        start = None if before is None else before[0]
        traced = trace(slopes, self._post_decay, start)
        first = torch.zeros_like(traced[:1]) if start is None else start.unsqueeze(0)
        saved.values["post"] = torch.cat([first, traced[:-1]])
        return (traced[-1],)

    def errors(self, neuron: Neuron, error: Tensor, saved: SavedTensors, *, sends: bool) -> tuple[Tensor, Tensor]:
        if self._last is not None and self._last < len(error):
            error = error.clone()
            error[: -self._last] = 0.0
        if neuron.readout:
            return super().errors(neuron, error, saved, sends=sends)
        unpooled = error
        if saved.pool is not None:
            unpooled = error.repeat_interleave(saved.pool, -1).repeat_interleave(saved.pool, -2) / saved.pool**2
        later = unpooled * saved.take("post") * self._noncausal
        delta = neuron.backward_local(error, saved)
        return _paired(delta * self._causal, later), delta


def _paired(one: Tensor, other: Tensor) -> Tensor:
    """Tensors (T, B, features...) as one of (2 T, B, features...), step by step."""
    return torch.stack([one, other], 1).flatten(0, 1)
