"""Kolen-Pollack learning."""

from collections.abc import Sequence

from torch import Tensor, nn

from onchip._types import checked
from onchip.certificates import Claims
from onchip.errors import require
from onchip.learning.description import ErrorPath, FeedbackLearning
from onchip.learning.feedback.base import LayerwiseFeedback
from onchip.learning.feedback.stored import drawn_like
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.through_time import ThroughTime


@checked
def kolen_pollack(model: nn.Module, *, decay: float = 1e-4, temporal: Temporal = ThroughTime()) -> Rule:
    """Kolen-Pollack: feedback weights get the same updates as the forward weights, and both decay.

        B += ΔW,   then W *= 1 - d and B *= 1 - d,   so that   W - B = (1 - d)^t (W_0 - B_0)

    The optimizer must train `rule.parameters()`, which include B, by the same gradients. The rule applies the decay
    after the optimizer's step (`rule.step`); a decay that is part of an adaptive optimizer's gradient, such as Adam's
    `weight_decay`, would break this law. Layers without feedback weights (the first) do not decay.

    Limit: equal to `bp` after many steps, when B has converged to W; to `fa` at the first step.
    Cost: no weight is ever transported; the products of every update but the first layer's are computed
        twice, at W and at B; feedback weights need as much memory as the forward weights.

    Args:
        model: A network of `onchip.nn`.
        decay: Fraction d of W and B that is lost per step, in [0, 1). B converges to W in about 1 / d steps; with a
            large d, such as 1e-3 in 2,000 steps of Fashion-MNIST, the network forgets.
        temporal: Temporal credit assignment: `ThroughTime()` by default, or `Online()`.

    Raises:
        RequestError: the decay is out of range.

    Reference: Kolen and Pollack 1994 (ICNN); Akrout et al. 2019 (NeurIPS), section 3.2.
    """
    return Rule("kolen_pollack", model, feedback=KolenPollackFeedback(decay), temporal=temporal)


class KolenPollackFeedback(LayerwiseFeedback):
    """Random initial feedback weights that the optimizer trains by the gradients of the forward weights."""

    claims = Claims(
        separate_feedback=True, no_weight_transport=True, temporally_causal=True, online=True, batch_independent=True
    )

    twin = True

    def __init__(self, decay: float) -> None:
        super().__init__()
        require(0.0 <= decay < 1.0, "kolen_pollack", "decay", decay, "a fraction lost per step, in [0, 1)")
        self._decay = decay

    def attach(self) -> None:
        for index in self.senders:
            drawn = drawn_like(self.layers[index].weight.detach())
            self.register_parameter(f"feedback_{index}", nn.Parameter(drawn))

    def paths(self, above: Sequence[int]) -> tuple[ErrorPath, ...]:
        learning = FeedbackLearning("same update", self._decay, forward_decay=True, optimizer=True)
        tensors = tuple(f"feedback_{index}" for index in above)
        return (ErrorPath("layer above", "learned weights", learning=(learning,), tensors=tensors),)

    def weight(self, index: int) -> Tensor:
        return self.get_parameter(f"feedback_{index}")

    def stored_weight(self, index: int) -> Tensor:
        return self.weight(index)

    def learn(self) -> None:
        for weight, feedback in self._pairs():
            # A copy, not a sum, so that B's gradient is right even if only W's is cleared.
            feedback.grad = None if weight.grad is None else weight.grad.clone()

    def step(self) -> None:
        factor = 1.0 - self._decay
        decayed: set[int] = set()
        for weight, feedback in self._pairs():
            if not weight.requires_grad:
                continue
            feedback.mul_(factor)
            if id(weight) not in decayed:  # a layer that the network uses twice
                decayed.add(id(weight))
                weight.mul_(factor)

    def _pairs(self) -> list[tuple[Tensor, Tensor]]:
        return [(self.layers[index].weight, self.weight(index)) for index in self.senders]
