"""Kolen-Pollack learning."""

from __future__ import annotations

from torch import Tensor, nn

from onchip.certificates import Claims
from onchip.errors import RequestError
from onchip.learning.feedback.base import LayerwiseFeedback
from onchip.learning.feedback.stored import drawn_like
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.through_time import ThroughTime

__all__ = ["kolen_pollack"]


def kolen_pollack(model: nn.Module, *, decay: float = 1e-4, temporal: Temporal = ThroughTime()) -> Rule:
    """Kolen-Pollack: feedback weights make the same updates as the forward weights, and both decay.

        B += ΔW,   then W *= 1 - d and B *= 1 - d,   so that   W - B = (1 - d)^t (W_0 - B_0)

    Make the optimizer of `rule.parameters()`, so that it trains B too, by the same gradients. The decay is
    the rule's own, after the optimizer's step (`rule.step`); one that an adaptive optimizer sees as part of
    the gradient, such as Adam's `weight_decay`, would break the law. Layers without feedback weights (the
    first) do not decay.

    Limit: equal to `bp` after many steps, as B comes to W; to `fa` at the first step.
    Cost: no weight is ever transported; the products of every update but the first layer's are made twice,
        at W and at B; feedback weights take as much memory as the forward ones.

    Args:
        model: a network of `onchip.nn`.
        decay: d, the share of W and B that is lost at each step, in [0, 1). B takes some 1 / d steps to come
            to W; a large d forgets what was learnt, as 1e-3 did in 2,000 steps of Fashion-MNIST.
        temporal: what of the past counts; `ThroughTime()` by default, or `Online()`.

    Raises:
        RequestError: a decay out of range.

    Reference: Kolen and Pollack 1994 (ICNN); Akrout et al. 2019 (NeurIPS), section 3.2.
    """
    return Rule(
        "kolen_pollack",
        model,
        feedback=KolenPollackFeedback(decay),
        temporal=temporal,
    )


class KolenPollackFeedback(LayerwiseFeedback):
    """Feedback weights, drawn at first, that the optimizer trains by the forward weights' gradients."""

    claims = Claims(
        separate_feedback=True, no_weight_transport=True, temporally_causal=True, online=True, batch_independent=True
    )

    twin = True

    def __init__(self, decay: float) -> None:
        super().__init__()
        if not 0.0 <= decay < 1.0:
            raise RequestError(f"kolen_pollack got decay={decay}; expected a share lost a step, in [0, 1)")
        self._decay = decay

    def attach(self) -> None:
        for index, layer in enumerate(self.layers[1:], start=1):
            self.register_parameter(f"feedback_{index}", nn.Parameter(drawn_like(layer.weight.detach())))

    def weight(self, index: int) -> Tensor:
        return self.get_parameter(f"feedback_{index}")

    def stored_weight(self, index: int) -> Tensor:
        return self.weight(index)

    def learn(self) -> None:
        for weight, feedback in self._pairs():
            # A copy, not a sum: whoever clears W's gradient need not know of B's.
            feedback.grad = None if weight.grad is None else weight.grad.clone()

    def step(self) -> None:
        kept = 1.0 - self._decay
        decayed: set[int] = set()
        for weight, feedback in self._pairs():
            if not weight.requires_grad:
                continue
            feedback.mul_(kept)
            if id(weight) not in decayed:  # a layer that the network uses twice
                decayed.add(id(weight))
                weight.mul_(kept)

    def _pairs(self) -> list[tuple[Tensor, Tensor]]:
        return [(layer.weight, self.weight(index)) for index, layer in enumerate(self.layers) if index]
