"""Weight mirrors."""

from __future__ import annotations

import torch
from torch import nn

from onchip.errors import RequestError
from onchip.learning.feedback.stored import RandomFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.through_time import ThroughTime
from onchip.nn.synapses.product import SynapticProduct

__all__ = ["weight_mirror"]


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

    The noise phase comes after each `period` training steps, layer by layer, with neither bias nor neuron
    between x and δ. A convolution is probed by patches of its kernel's size. The decay of B by the same
    rate brings it to W's own norm. Draws come from torch's global generator.

    Limit: equal to `bp`, one step behind, as r goes to 0 and the number of noise phases a step to infinity.
        With W held still, the cosine of B and W tends to 1 / √(1 + (n + 1) r / (samples (2 - r))) for a
        fan-in of n.
    Cost: no weight is ever transported; for every weight but the first layer's, 2 · samples / period products
        a step, and samples / period random numbers for each of a layer's inputs; a noise phase in which
        nothing else can run; feedback weights take as much memory as the forward ones.

    Args:
        model: a network of `onchip.nn`.
        period: training steps from one noise phase to the next, at least 1.
        rate: r, how much of B one noise phase replaces, in (0, 1].
        samples: noise vectors a phase, at least 1.
        temporal: what of the past counts; `ThroughTime()` by default, or `Online()`.

    Raises:
        RequestError: a period, a rate or a number of samples out of range.

    Reference: Akrout et al. 2019 (NeurIPS), section 3.1.
    """
    return Rule(
        "weight_mirror",
        model,
        feedback=Mirror(period, rate, samples),
        temporal=temporal,
    )


class Mirror(RandomFeedback):
    """Feedback weights that are drawn at first and then learn the forward weights from noise."""

    def __init__(self, period: int, rate: float, samples: int) -> None:
        super().__init__()
        if period < 1:
            raise RequestError(f"weight_mirror got period={period}; expected at least 1 step between noise phases")
        if not 0.0 < rate <= 1.0:
            raise RequestError(f"weight_mirror got rate={rate}; expected a share of B to replace, in (0, 1]")
        if samples < 1:
            raise RequestError(f"weight_mirror got samples={samples}; expected at least 1 noise vector a phase")
        self._period = period
        self._rate = rate
        self._samples = samples
        self._steps = 0

    def refreshes(self, steps: int) -> dict[str, int]:
        return {layer.name: steps // self._period for layer in self.layers[1:]}

    def step(self) -> None:
        self._steps += 1
        if self._steps % self._period:
            return
        for index in range(1, len(self.layers)):
            self._probe(index)

    def _probe(self, index: int) -> None:
        layer = self.layers[index]
        field, shape = layer.synapse.field()
        noise = torch.randn(self._samples, *shape, dtype=layer.weight.dtype, device=layer.weight.device)
        response = field.apply(noise, layer.weight, None)
        self.report_draws(index, noise.numel())
        self.report_product(index, "probe", SynapticProduct(field, noise.shape, response.shape, pre=noise))
        seen = field.weight_grad(noise, response).div_(self._samples)
        self.report_product(
            index, "feedback_update", SynapticProduct(field, noise.shape, response.shape, noise, response)
        )
        self.weight(index).lerp_(seen, self._rate)

    def get_extra_state(self) -> torch.Tensor:
        return torch.tensor(self._steps)

    def set_extra_state(self, state: torch.Tensor) -> None:
        self._steps = int(state)
