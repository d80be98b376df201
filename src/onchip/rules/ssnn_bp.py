"""Spike-based backpropagation in networks of stochastic neurons."""

from torch import nn

from onchip._types import checked
from onchip.learning.coding.spikes import SpikeErrors
from onchip.learning.feedback.transposed import TransposedFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.coincidence import Counts
from onchip.nn.signals import SPIKE_TRAINS
from onchip.nn.spike_train import RandomPhaseTrain, SpikeTrain


@checked
def ssnn_bp(
    model: nn.Module, *, gain: float = 2.0, train: SpikeTrain = RandomPhaseTrain(), temporal: Temporal = Counts()
) -> Rule:
    """Spike-based backpropagation: activity goes up and errors come down as spikes, in the same phase.

        d = softmax(z) - y,   g_l = spikes of β gate_l W_{l+1}^T g_{l+1},   ΔW_l = <g_l x_l^T> / β^depth

    The paper's own form is `train=bernoulli`, `temporal=coincidences`, neurons `stochastic:train=bernoulli` and the
    loss `winner`, whose error is the spike of the winning class minus that of the label. The defaults are ours:
    spike trains of random phase and products of counts, which need a quarter of the time steps. Neurons
    `stochastic:potential=integrate` halve them once more in networks with two hidden layers.

    Limit: the mean update converges to that of backpropagation in a network of `Rate` neurons as T grows.
    Cost: every weight but the first layer's is transported after each update; a synaptic operation is an addition,
        forward and backward; an update is a coincidence of two spikes, or one product of counts per sample.

    Args:
        model: A network of `Stochastic` neurons with a `MeanReadout`.
        gain: Factor β, above 0, by which errors grow in each layer before they are coded as spikes; errors
            above one spike per time step are clipped.
        train: How an error is coded as spikes: `RandomPhaseTrain()` by default, or `BernoulliTrain()`.
        temporal: Temporal credit assignment: `Counts()` by default, or `Coincidences()` as in the paper.

    Raises:
        RequestError: the gain is out of range.
        UnsupportedError: the neurons do not send spike trains.

    Reference: Biswas, Saraswat, Ganguly 2023 (SSNN-BP, arXiv 2207.09755).
    """
    code = SpikeErrors(gain, train)
    return Rule("ssnn_bp", model, feedback=TransposedFeedback(), temporal=temporal, code=code, trains=(SPIKE_TRAINS,))
