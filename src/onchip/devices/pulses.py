"""Pulses of both signs at the cells of a crossbar: coincidences of spikes, and random pulses drawn from them."""

from typing import Literal

import torch
from torch import Tensor

from onchip.kernels import popcount
from onchip.nn.synapses import LinearSynapse, Synapse

Thinning = Literal["binomial", "poisson"]
"""`binomial`: each coincidence causes a random number of pulses, independently of the others. `poisson`: as many pulses
as two independent random pulse trains on a row and a column have coincidences."""

CycleScale = Literal["step", "quantum"]
"""Whether the spread from pulse to pulse is relative to a cell's step at its present weight, or at weight 0."""


def error_spikes(delta: Tensor, unit: float) -> Tensor:
    """Error spikes, whole numbers of delta's shape, from the error and the value of one spike."""
    return (delta / unit).round_()


def coincidences(synapse: Synapse, pre: Tensor, spikes: Tensor) -> Tensor:
    """Coincidences at each cell that raise and that lower its weight.

    A positive error spike means that a drive is too high: where it coincides with a presynaptic spike of its own sign,
    the weight decreases. Single spikes at a Linear layer are counted as bits, which gives the same numbers.

    Args:
        synapse: Bilinear map of the layer.
        pre: Presynaptic factor (N, in...): spikes, or the fraction of time steps with a spike.
        spikes: Error spikes (N, out...), whole numbers.

    Returns:
        Counts (2, out, in...): coincidences that raise the weight, then those that lower it.
    """
    if isinstance(synapse, LinearSynapse) and spikes.numel():
        fired = pre != 0
        if torch.equal(fired.to(pre.dtype), pre) and int(spikes.abs().amax()) <= 1:
            up, down = popcount.coincidences(*(popcount.pack(train) for train in (spikes < 0, spikes > 0, fired)))
            return torch.stack([up, down]).to(pre.dtype)
    return _by_direction(synapse.weight_grad(pre, spikes), synapse.weight_grad(pre.abs(), spikes.abs()))


def bias_coincidences(synapse: Synapse, spikes: Tensor) -> Tensor:
    """The same counts, (2, out), for the cells of a bias, whose input spikes at every time step."""
    return _by_direction(synapse.bias_update(spikes), synapse.bias_update(spikes.abs()))


def draw_pulses(coincidences: Tensor, rate: float, how: Thinning) -> Tensor:
    """Random numbers of pulses, of the same shape as the coincidences.

    Args:
        coincidences: Coincidences, at least 0; a fractional part is a probability.
        rate: Mean number of pulses per coincidence, at least 0.
        how: Distribution of the number of pulses.
    """
    if how == "poisson":
        return torch.poisson(coincidences * rate)
    sure = float(int(rate))
    share = rate - sure
    whole = coincidences.floor()
    drawn = whole * sure
    if share:
        several = whole > 0  # many cells have no coincidence, and a draw takes time
        trials = whole[several]
        drawn[several] += torch.binomial(trials, torch.full_like(trials, share))
    rest = coincidences - whole
    if bool(rest.any()):
        chance = torch.rand_like(rest)
        drawn += (chance < rest) * sure + (chance < rest * share)
    return drawn


def apply_in_turn(weight: Tensor, cells: dict[str, Tensor], drawn: Tensor, spread: float, scale: CycleScale) -> Tensor:
    """Weights after pulses in turn, of steps that depend on the weight; pulses up and down are mixed evenly.

        w <- clip(w ± s (1 - k w) (1 + c ξ))   for the scale `step`
        w <- clip(w ± s (1 - k w + c ξ))       for the scale `quantum`

    Args:
        weight: Weights before, which stay as they are.
        cells: Steps s at weight 0, `up` and `down`; slopes k, `slope_up` and `slope_down`; bounds, `lower` and `upper`.
        drawn: Whole numbers of pulses up and down, (2, ...).
        spread: Standard deviation c from pulse to pulse.
        scale: What c is relative to.

    Reference: the steps are those of Rasch et al. 2021 (AICAS), whose toolkit calls the two scales multiplicative and
        additive noise.
    """
    ups, counts = drawn[0].flatten().long(), drawn.sum(0).flatten().long()
    # In order of their numbers of pulses, the cells that get another one are always the first.
    order = counts.argsort(descending=True)[: int((counts > 0).sum())]
    ups, counts = ups[order], counts[order]
    own = {name: values.flatten()[order] for name, values in cells.items()}
    now = weight.flatten()[order]
    for pulse in range(int(counts[0]) if len(counts) else 0):
        few = int((counts > pulse).sum())
        one = {name: values[:few] for name, values in own.items()}
        rises = (pulse + 1) * ups[:few] // counts[:few] > pulse * ups[:few] // counts[:few]
        size = 1.0 - torch.where(rises, one["slope_up"], one["slope_down"]) * now[:few]
        if spread:
            noise = torch.randn_like(size).mul_(spread)
            size = size + (noise * size if scale == "step" else noise)
        now[:few] += torch.where(rises, one["up"], -one["down"]) * size
        now[:few] = now[:few].clamp(one["lower"], one["upper"])
    after = weight.flatten().clone()
    after[order] = now
    return after.view_as(weight)


def _by_direction(net: Tensor, both: Tensor) -> Tensor:
    """Counts that raise and that lower a weight, from their difference (lower minus raise) and their sum."""
    return torch.stack([both - net, both + net]).div_(2).clamp_min_(0)
