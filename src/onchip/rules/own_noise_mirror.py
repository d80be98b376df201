"""Feedback weights that learn from the noise of the neurons."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from onchip._types import checked
from onchip.certificates import Claims
from onchip.errors import require
from onchip.learning.coding.spikes import SpikeErrors
from onchip.learning.description import ErrorPath, FeedbackLearning
from onchip.learning.feedback.base import LayerwiseFeedback
from onchip.learning.padding import along, mean_over
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.coincidence import Counts
from onchip.nn.signals import SPIKE_TRAINS, Signal, expanded, fold_time
from onchip.nn.spike_train import RandomPhaseTrain, SpikeTrain
from onchip.nn.synapses.product import SynapticProduct


@checked
def own_noise_mirror(
    model: nn.Module,
    *,
    decay: float = 0.99,
    gain: float = 2.0,
    train: SpikeTrain = RandomPhaseTrain(),
    temporal: Temporal = Counts(),
) -> Rule:
    """Spike-based backpropagation whose feedback weights learn from the neurons' own noise, without transport.

        Δ = h - p and o = W h + b, each minus its mean over time,   B = <o Δ^T> / <Δ²> per presynaptic neuron

    Random spikes are perturbations at no extra cost: a spike adds its weight to the drive of the next layer. Both means
    are exponential moving averages over training steps; B is 0 at first. In a convolution, which shares the weights of
    a kernel, the means are over all positions and per input channel.

    Limit: equal to `ssnn_bp` as the decay goes to 1, with constant W.
    Cost: no weight is ever transported and no noise injected; one more product per feedback weight, sample and time
        step; feedback weights need as much memory as the forward weights. If T = 1, the means are over the batch.

    Args:
        model: A network of `Stochastic` neurons with a `MeanReadout`.
        decay: Factor of both moving averages per training step, in [0, 1).
        gain: Factor β, above 0, by which errors grow in each layer before they are coded as spikes.
        train: How an error is coded as spikes: `RandomPhaseTrain()` by default, or `BernoulliTrain()`.
        temporal: Temporal credit assignment: `Counts()` by default, or `Coincidences()`.

    Raises:
        RequestError: the decay or the gain is out of range.
        UnsupportedError: the neurons do not send spike trains.

    Reference: ours; after weight mirrors (Akrout et al. 2019, NeurIPS), whose noise is injected in a separate phase.
    """
    code = SpikeErrors(gain, train)
    return Rule(
        "own_noise_mirror",
        model,
        feedback=OwnNoiseFeedback(decay),
        temporal=temporal,
        code=code,
        trains=(SPIKE_TRAINS,),
    )


class OwnNoiseFeedback(LayerwiseFeedback):
    """Feedback weights B = <o Δ^T> / <Δ²>; both means are stored."""

    claims = Claims(separate_feedback=True, no_weight_transport=True)

    mirrors = True

    def __init__(self, decay: float) -> None:
        super().__init__()
        require(0.0 <= decay < 1.0, "own_noise_mirror", "decay", decay, "a share kept per step, in [0, 1)")
        self._decay = decay
        self._noise: dict[int, Tensor] = {}
        self._drawn = torch.empty(0)

    def attach(self) -> None:
        for index in self.senders:
            layer = self.layers[index]
            self.register_buffer(f"product_{index}", torch.zeros_like(layer.weight))
            # One sum of squares per input of the receptive field: per neuron, or per channel and kernel position.
            shape = (layer.synapse.groups, *layer.weight.shape[1:])
            self.register_buffer(f"variance_{index}", layer.weight.new_zeros(shape))

    def paths(self, above: Sequence[int]) -> tuple[ErrorPath, ...]:
        learning = FeedbackLearning("response to spikes", 1.0 - self._decay, over_time=True)
        tensors = tuple(f"{stem}_{index}" for index in above for stem in ("product", "variance"))
        return (ErrorPath("layer above", "learned weights", learning=(learning,), tensors=tensors),)

    def fired(self, index: int, activity: Tensor, probability: Tensor | None) -> None:
        if probability is not None:
            self._drawn = activity - probability
            above = next((above for above in self.hidden if above > index), None)
            if above is not None:
                self._noise[above] = self._drawn

    def at_drive(self, index: int, drive: Signal) -> Signal:
        if index:
            self._learn_from(index, self._noise.pop(index), expanded(drive), self.present)
        return drive

    def recurred(self, index: int, responses: Tensor) -> None:
        self._learn_from(index, self._drawn[:-1], responses, None if self.present is None else self.present[1:])

    def _learn_from(self, index: int, drawn: Tensor, drive: Tensor, present: Tensor | None) -> None:
        """Adds one estimate from noise (T, B, features...) and the drive that it had a part in."""
        synapse = self.layers[index].synapse.bare()
        response = fold_time(self._centered(drive, present))  # (T·B, features...)
        noise, own = fold_time(drawn), fold_time(self._centered(drawn, present))
        if not synapse.spatial_axes:
            noise, own = noise.flatten(1), own.flatten(1)
        product = synapse.weight_grad(noise, response)
        self.report_product(
            index, "feedback_update", SynapticProduct(synapse, noise.shape, response.shape, noise, response)
        )
        squares = synapse.one_output().weight_grad(
            own.square(), torch.ones_like(response[:, : len(self._variance(index))])
        )
        self.ranks.sum_(product, squares)
        self.get_buffer(f"product_{index}").lerp_(product, 1.0 - self._decay)
        self._variance(index).lerp_(squares, 1.0 - self._decay)

    def weight(self, index: int) -> Tensor:
        product, variance = self.get_buffer(f"product_{index}"), self._variance(index)
        # A neuron without noise so far has product 0 too, so its feedback weight is 0.
        positive = variance.clamp_min(torch.finfo(variance.dtype).tiny)
        return product / positive.repeat_interleave(len(product) // len(variance), 0)

    def stored_weight(self, index: int) -> Tensor:
        return self.weight(index)

    def _variance(self, index: int) -> Tensor:
        return self.get_buffer(f"variance_{index}")

    def _centered(self, values: Tensor, present: Tensor | None) -> Tensor:
        """Values (T, B, ...) minus their mean over time, or over the batch if T = 1; one sample at one step as it is.

        Padding enters no mean, and is 0.
        """
        if present is not None:  # T > 1
            return (values - mean_over(values, 0, present)) * along(present, values)
        # The noise must lose its mean as the drive does, or B is too small by a factor that depends on the trains.
        if len(values) > 1:
            return values - values.mean(0, keepdim=True)
        return values - self.ranks.mean(values, 1) if self.ranks.total([values.shape[1]])[0] > 1 else values
