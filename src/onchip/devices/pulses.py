"""Pulses of both signs at a crossbar's cells: where spikes meet, and how many of these meetings become pulses."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from onchip.kernels import popcount
from onchip.nn.synapses import LinearSynapse, Synapse

__all__ = ["Thinning", "always", "errors", "met", "thinned"]

Thinning = Literal["binomial", "poisson"]
"""`binomial`: each coincidence becomes a pulse, or several, by chance of its own. `poisson`: as many pulses as two
independent random pulse trains on a row and a column meet in."""


def errors(delta: Tensor, unit: float) -> Tensor:
    """Error spikes, whole numbers of delta's shape, from the error and what one spike is worth."""
    return (delta / unit).round_()


def met(synapse: Synapse, pre: Tensor, spikes: Tensor) -> Tensor:
    """Coincidences at each cell that raise and that lower its weight.

    An error spike says that a drive is too high: where it meets a presynaptic spike of its own sign, the weight goes
    down. Trains of single spikes at a Linear layer are counted as bits, which gives the same numbers.

    Args:
        synapse: the bilinear map.
        pre: presynaptic factor (N, in...): spikes, or the share of time steps with one.
        spikes: error spikes (N, out...), whole numbers.

    Returns:
        (2, out, in...): those that raise it, then those that lower it.
    """
    if isinstance(synapse, LinearSynapse):
        fired = pre != 0
        if torch.equal(fired.to(pre.dtype), pre) and int(spikes.abs().amax()) <= 1:
            up, down = popcount.coincidences(*(popcount.pack(train) for train in (spikes < 0, spikes > 0, fired)))
            return torch.stack([up, down]).to(pre.dtype)
    return _apart(synapse.weight_grad(pre, spikes), synapse.weight_grad(pre.abs(), spikes.abs()))


def always(synapse: Synapse, spikes: Tensor) -> Tensor:
    """The same, (2, out), for cells whose presynaptic neuron spikes at every step, as a bias has it."""
    return _apart(synapse.bias_update(spikes), synapse.bias_update(spikes.abs()))


def thinned(coincidences: Tensor, pulses: float, how: Thinning) -> Tensor:
    """Random whole numbers of pulses for coincidences, of the same shape.

    Args:
        coincidences: at least 0; the fraction of one, which shares of time steps leave, counts by chance.
        pulses: for each coincidence in the mean, at least 0.
        how: the kind of chance.
    """
    if how == "poisson":
        return torch.poisson(coincidences * pulses)
    sure = float(int(pulses))
    share = pulses - sure
    whole = coincidences.floor()
    drawn = whole * sure
    if share:
        several = whole > 0  # many cells have none, and a draw takes time
        trials = whole[several]
        drawn[several] += torch.binomial(trials, torch.full_like(trials, share))
    rest = coincidences - whole
    if bool(rest.any()):
        chance = torch.rand_like(rest)
        drawn += (chance < rest) * sure + (chance < rest * share)
    return drawn


def _apart(net: Tensor, both: Tensor) -> Tensor:
    """Numbers that raise and lower, from those that lower less those that raise, and their sum."""
    return torch.stack([both - net, both + net]).div_(2).clamp_min_(0)
