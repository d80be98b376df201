"""Weight mirrors."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from onchip._types import checked
from onchip.errors import require
from onchip.learning.description import ErrorPath, FeedbackLearning
from onchip.learning.feedback.stored import RandomFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.through_time import ThroughTime
from onchip.nn.synapses.product import SynapticProduct


@checked
def weight_mirror(
    model: nn.Module,
    *,
    period: int = 1,
    rate: float = 0.01,
    samples: int = 16,
    temporal: Temporal = ThroughTime(),
) -> Rule:
    """Weight mirrors: feedback weights learn from the forward weights' responses to noise.

        x ~ N(0, 1),   δ = W x,   B = (1 - r) B + r <δ x^T>,   whose mean over the noise is (1 - r) B + r W

    A noise phase follows every `period` training steps, layer by layer, without bias or neuron between x and δ. The
    noise of a convolution has the size of its kernel. Because B decays at the same rate, its norm converges to that of
    W. The draws come from torch's global generator.

    Limit: equal to `bp`, one step behind, as r goes to 0 and the number of noise phases per step to infinity. With
        constant W, the cosine of B and W converges to 1 / √(1 + (n + 1) r / (samples (2 - r))) for a fan-in of n.
    Cost: no weight is ever transported; for every weight but the first layer's, 2 · samples / period products per step,
        and samples / period random numbers per input of a layer; a noise phase in which nothing else can run; feedback
        weights need as much memory as the forward weights.

    Args:
        model: A network of `onchip.nn`.
        period: Training steps from one noise phase to the next, at least 1.
        rate: Fraction r of B that one noise phase replaces, in (0, 1].
        samples: Noise vectors per phase, at least 1.
        temporal: Temporal credit assignment: `ThroughTime()` by default, or `Online()`.

    Raises:
        RequestError: an option is out of range.

    Reference: Akrout et al. 2019 (NeurIPS), section 3.1.
    """
    return Rule("weight_mirror", model, feedback=MirrorFeedback(period, rate, samples), temporal=temporal)


class MirrorFeedback(RandomFeedback):
    """Feedback weights that are random at first and then learn the forward weights from noise."""

    def __init__(self, period: int, rate: float, samples: int) -> None:
        super().__init__()
        require(period >= 1, "weight_mirror", "period", period, "at least 1 step between noise phases")
        require(0.0 < rate <= 1.0, "weight_mirror", "rate", rate, "a share of B to replace, in (0, 1]")
        require(samples >= 1, "weight_mirror", "samples", samples, "at least 1 noise vector per phase")
        self._period = period
        self._rate = rate
        self._samples = samples
        self._steps = 0

    def paths(self, above: Sequence[int]) -> tuple[ErrorPath, ...]:
        learning = (FeedbackLearning("noise phase", self._rate),)
        return tuple(replace(path, through="learned weights", learning=learning) for path in super().paths(above))

    def refreshes(self, steps: int) -> dict[str, int]:
        return {self.layers[index].name: steps // self._period for index in self.senders}

    def step(self) -> None:
        self._steps += 1
        if self._steps % self._period:
            return
        for index in self.senders:
            self._probe(index)

    def _probe(self, index: int) -> None:
        layer = self.layers[index]
        field, shape = layer.synapse.field()
        noise = torch.randn(self._samples, *shape, dtype=layer.weight.dtype, device=layer.weight.device)
        response = field.apply(noise, layer.weight, None)
        self.report_draws(index, noise.numel())
        self.report_product(index, "probe", SynapticProduct(field, noise.shape, response.shape, pre=noise))
        estimate = field.weight_grad(noise, response).div_(self._samples)
        self.report_product(
            index, "feedback_update", SynapticProduct(field, noise.shape, response.shape, noise, response)
        )
        self.weight(index).lerp_(estimate, self._rate)

    def get_extra_state(self) -> torch.Tensor:
        return torch.tensor(self._steps)

    def set_extra_state(self, state: torch.Tensor) -> None:
        self._steps = int(state)
