"""Spike-based backpropagation in networks of stochastic neurons."""

from __future__ import annotations

from torch import nn

from onchip.learning.coding.spikes import SpikeErrors
from onchip.learning.feedback.transposed import TransposedFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.coincidence import Counts
from onchip.nn.signals import SPIKE_TRAINS
from onchip.nn.spike_train import RandomPhaseTrain, SpikeTrain

__all__ = ["ssnn_bp"]


def ssnn_bp(
    model: nn.Module, *, gain: float = 2.0, train: SpikeTrain = RandomPhaseTrain(), temporal: Temporal = Counts()
) -> Rule:
    """Spike-based backpropagation: activity goes up and errors come down as spikes, in one phase.

        d = softmax(z) - y,   g_l = spikes of β gate_l W_{l+1}^T g_{l+1},   ΔW_l = <g_l x_l^T> / β^depth

    The paper's own form is `train=bernoulli`, `temporal=coincidences`, neurons `stochastic:train=bernoulli` and the
    loss `winner`, whose error is the spike of the winning class minus that of the label. The defaults are ours:
    trains of random phase and products of counts, which need a quarter of the steps.

    Limit: the mean update is that of backpropagation in the network of `Rate` neurons as T grows.
    Cost: every weight but the first layer's is transported after each update; a synaptic operation is an addition,
        forward and backward; an update is a coincidence of two spikes, or one product of counts a sample.

    Args:
        model: a network of `Stochastic` neurons, closed by `MeanReadout`.
        gain: β, by which errors grow in each layer before they become spikes, above 0; errors that it takes beyond
            one spike a step are clipped.
        train: how an error becomes spikes, `RandomPhaseTrain()` or `Bernoulli()`.
        temporal: `Counts()` by default; `Coincidences()` of two spikes for the paper's update.

    Raises:
        RequestError: a gain out of range.
        UnsupportedError: neurons that do not send spike trains.

    Reference: Biswas, Saraswat, Ganguly 2023 (SSNN-BP, arXiv 2207.09755).
    """
    code = SpikeErrors(gain, train)
    return Rule(
        "ssnn_bp",
        model,
        feedback=TransposedFeedback(),
        temporal=temporal,
        code=code,
        trains=(SPIKE_TRAINS,),
    )
