"""One-point zeroth-order training."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from onchip._types import checked
from onchip.certificates import Claims
from onchip.errors import RequestError, require
from onchip.learning.description import ErrorPath
from onchip.learning.feedback.base import DirectFeedback, LossSignals
from onchip.learning.feedback.direct import product_at
from onchip.learning.noise import Noise, Rademacher
from onchip.learning.rule import Rule
from onchip.learning.temporal.online import Online
from onchip.nn.signals import TIME_STEPS


@checked
def zeroth_order(model: nn.Module, *, scale: float = 0.2, noise: Noise = Rademacher()) -> Rule:
    """One-point zeroth-order training: each layer's error is the loss times the noise that was added to it.

        h_l <- h_l + α z_l,   g_l = L / α z_l

    The control for all rules that use noise. Pass the loss of each sample and time step to `rule.backward` if it is
    available: with one number for all, the noise of the whole batch is in the error of each neuron.

    Limit: on a network without neurons, for a loss that is quadratic in the output, the mean over the noise is the
        gradient in the layers whose input has no noise.
    Cost: no feedback weights, one random number per neuron and time step, and one product to scale it; but the variance
        of the gradient is about 10,000 times that of `bp`.

    Args:
        model: A network of `onchip.nn` whose neurons have a state over time.
        scale: Standard deviation α of the noise, above 0, in units of one spike.
        noise: Distribution of the noise: `Rademacher()` by default, one random bit per neuron, or `Gaussian()`, which
            is no better.

    Raises:
        RequestError: the scale is out of range.
        UnsupportedError: the neurons have spike times.

    Reference: Xiao et al. 2024 (OPZO, arXiv 2407.12516), who call it ZO_sp.
    """
    return Rule("zeroth_order", model, feedback=NodePerturbation(scale, noise), temporal=Online(), trains=(TIME_STEPS,))


class NodePerturbation(DirectFeedback):
    """The noise that was added to a layer, times the loss that resulted."""

    claims = Claims(
        separate_feedback=True, no_weight_transport=True, unshared_feedback=True, backward_unlocked=True, online=True
    )

    by_sample = True
    perturbs = True

    def __init__(self, scale: float, noise: Noise) -> None:
        super().__init__()
        require(0.0 < scale < float("inf"), "zeroth_order", "scale", scale, "a standard deviation above 0")
        self._scale = scale
        self._noise = noise
        self._added: dict[int, Tensor] = {}

    def paths(self, above: Sequence[int]) -> tuple[ErrorPath, ...]:
        return (ErrorPath("loss", "noise"),)

    def begin(self) -> None:
        if torch.is_grad_enabled():  # a pass without gradients must not change the noise of a pending pass
            self._added.clear()

    def receive(self, index: int, activity: Tensor) -> Tensor:
        self._added[index] = self._noise(activity)
        self.report_draws(index, activity.numel(), stored=True)
        return activity.add(self._added[index], alpha=self._scale)

    def project(self, signals: LossSignals, index: int, activity: Tensor) -> Tensor:
        if index not in self._added:
            raise RequestError(
                "zeroth_order added no noise in this forward pass, so hidden layers have no error; "
                "call model.train() before rule.forward"
            )
        leading = activity.shape[:2]
        loss = signals.loss
        if not loss.dim():  # one number for the whole batch
            loss = loss.clone()
            self.ranks.sum_(loss)
        shares = (loss / (self._scale * max(loss.numel(), 1))).expand(leading)
        if self.present is not None:
            shares = shares * self.present
        noise = self._added[index]
        scaled = noise.new_empty(math.prod(noise.shape[2:]), 1)
        self.report_product(index, "direct", product_at(scaled, post=shares.reshape(-1, 1)))
        self.report_released(index, noise.numel())
        return noise * shares.reshape(*leading, *[1] * (activity.dim() - 2))
