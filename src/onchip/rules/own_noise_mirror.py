"""Feedback weights that the neurons' own noise teaches."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onchip.certificates import Claims
from onchip.errors import RequestError
from onchip.learning.coding.spikes import SpikeErrors
from onchip.learning.feedback.base import LayerwiseFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.coincidence import Counts
from onchip.nn.signals import SPIKE_TRAINS, Signal, expanded, fold_time
from onchip.nn.spike_train import RandomPhaseTrain, SpikeTrain
from onchip.nn.synapses.product import SynapticProduct

__all__ = ["own_noise_mirror"]


def own_noise_mirror(
    model: nn.Module,
    *,
    decay: float = 0.99,
    gain: float = 2.0,
    train: SpikeTrain = RandomPhaseTrain(),
    temporal: Temporal = Counts(),
) -> Rule:
    """Spike-based backpropagation whose feedback weights learn from the neurons' own noise, without transport.

        Δ = h - p,   o = W h + b less its mean over time,   B = <o Δ^T> / <Δ²> for each presynaptic neuron

    A random spike is a perturbation that comes for free: what it adds to the next layer's drive is its weight. Both
    means are exponential, over training steps; B is 0 at first. In a convolution a kernel's weights are shared,
    and so are the means, over all places and per input channel.

    Limit: that of `ssnn_bp` as the mean is taken over ever more steps (decay to 1) with W held still.
    Cost: no weight is ever transported and no noise injected; for each feedback weight one more product a step of
        every sample; feedback weights take as much memory as the forward ones. T = 1 teaches nothing.

    Args:
        model: a network of `Stochastic` neurons, closed by `MeanReadout`.
        decay: share of both means that is kept from one training step to the next, in [0, 1).
        gain: β, by which errors grow in each layer before they become spikes, above 0.
        train: how an error becomes spikes, `RandomPhaseTrain()` or `Bernoulli()`.
        temporal: `Counts()` by default, or `Coincidences()`.

    Raises:
        RequestError: a decay or a gain out of range.
        UnsupportedError: neurons that do not send spike trains.

    Reference: ours; after weight mirrors (Akrout et al. 2019, NeurIPS), whose noise is injected in a phase of its own.
    """
    code = SpikeErrors(gain, train)
    return Rule(
        "own_noise_mirror",
        model,
        feedback=OwnNoise(decay),
        temporal=temporal,
        code=code,
        trains=(SPIKE_TRAINS,),
    )


class OwnNoise(LayerwiseFeedback):
    """Feedback weights B = <o Δ^T> / <Δ²>, of which both means are kept."""

    claims = Claims(separate_feedback=True, no_weight_transport=True)

    def __init__(self, decay: float) -> None:
        super().__init__()
        if not 0.0 <= decay < 1.0:
            raise RequestError(f"own_noise_mirror got decay={decay}; expected a share kept a step, in [0, 1)")
        self._decay = decay
        self._noise: dict[int, Tensor] = {}

    def attach(self) -> None:
        for index, layer in enumerate(self.layers[1:], start=1):
            self.register_buffer(f"product_{index}", torch.zeros_like(layer.weight))
            # One sum of squares for each input of the receptive field: a neuron's, or a channel's at each tap.
            shape = (layer.synapse.groups, *layer.weight.shape[1:])
            self.register_buffer(f"variance_{index}", layer.weight.new_zeros(shape))

    def fired(self, index: int, activity: Tensor, probability: Tensor | None) -> None:
        if probability is not None:
            self._noise[index + 1] = activity - probability

    def at_drive(self, index: int, drive: Signal) -> Signal:
        if index:
            self._learn_from(index, expanded(drive))
        return drive

    def _learn_from(self, index: int, drive: Tensor) -> None:
        noise = fold_time(self._noise.pop(index))  # (T·B, features...)
        synapse = self.layers[index].synapse.bare()
        answer = fold_time(drive - drive.mean(0))
        noise = noise if synapse.spatial_axes else noise.flatten(1)
        product = synapse.weight_grad(noise, answer)
        self.report_product(
            index, "feedback_update", SynapticProduct(synapse, noise.shape, answer.shape, noise, answer)
        )
        squares = synapse.one_output().weight_grad(
            noise.square(), torch.ones_like(answer[:, : len(self._variance(index))])
        )
        self.get_buffer(f"product_{index}").lerp_(product, 1.0 - self._decay)
        self._variance(index).lerp_(squares, 1.0 - self._decay)

    def weight(self, index: int) -> Tensor:
        product, variance = self.get_buffer(f"product_{index}"), self._variance(index)
        # A neuron that has made no noise yet has product 0, too, and gets the feedback weight 0.
        spread = variance.clamp_min(torch.finfo(variance.dtype).tiny)
        return product / spread.repeat_interleave(len(product) // len(variance), 0)

    def stored_weight(self, index: int) -> Tensor:
        return self.weight(index)

    def _variance(self, index: int) -> Tensor:
        return self.get_buffer(f"variance_{index}")
