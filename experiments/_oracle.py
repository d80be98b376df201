"""Direct feedback through the true mean derivative of the output, which no chip could know: a yardstick.

    g_l[t, b] = M_l e[t, b],   M_l = mean over t, b of ∂o[t, b] / ∂h_l[t, b]

The derivative is the one of `ottt`: through the forward weights and surrogate derivatives, within a time step. Backward
passes through a copy of the network compute it, one per class. M is a moving average over batches; it may be one matrix
for all samples, as in `opzo`, or more of them, among which something chooses that a chip knows.
"""

from __future__ import annotations

import copy
from typing import Literal

import torch
from torch import Tensor, nn

from onchip import rules
from onchip.learning import Online, Rule
from onchip.learning.feedback.base import DirectFeedback, LossSignals
from onchip.learning.noise import Added, Rademacher
from onchip.learning.observers import Observer, ProductKind
from onchip.nn import TIME_STEPS
from onchip.nn.signals import Static
from onchip.nn.synapses.product import SynapticProduct

__all__ = ["Choice", "OracleFeedback", "oracle"]

Choice = Literal["one", "own", "label", "sample"]
"""Which M an error passes: one for all samples; one of two, by whether the unit's own activity is above 0; one per
label; or the derivative of the sample itself, in which case nothing is averaged."""


def oracle(
    model: nn.Module,
    *,
    choice: Choice = "one",
    images: int = 16,
    every: int = 10,
    momentum: float = 0.9,
    scale: float | None = None,
    until: int | None = None,
    bfloat16: bool = False,
) -> Rule:
    """A rule with an oracle for its feedback. With `choice="sample"` its gradients are those of `ottt`.

    Args:
        model: A chain of layers that gets static images.
        choice: What chooses among the matrices.
        images: Images of a batch from which the derivative is computed.
        every: Training steps from one computation to the next.
        momentum: Factor by which the weight of all earlier derivatives decays per computation.
        scale: Standard deviation of the noise of `opzo` in the forward pass, also where the derivative is taken; None
            for none.
        until: Training steps after which the matrices are constant; None for never.
        bfloat16: Whether the copy of the network computes products in bfloat16.
    """
    duplicate = copy.deepcopy(model)
    copied = rules.ottt(duplicate) if scale is None else rules.noisy_bp(duplicate, scale=scale)
    if bfloat16:
        copied.in_bfloat16()
    feedback = OracleFeedback(model, copied, choice, images, every, momentum, until)
    noise = None if scale is None else Added(Rademacher(), scale)
    rule = Rule("oracle", model, feedback=feedback, temporal=Online(), noise=noise, trains=(TIME_STEPS,))
    rule.observe(feedback.images)
    return rule


class OracleFeedback(DirectFeedback):
    """Matrices that are computed by backward passes through a copy of the network."""

    def __init__(
        self,
        model: nn.Module,
        copied: Rule,
        choice: Choice,
        images: int,
        every: int,
        momentum: float,
        until: int | None,
    ) -> None:
        super().__init__()
        self.images, self._errors = _Images(), _Errors()
        self._model, self._copied = [model], copied  # in a list, so that the network is no part of the state
        self._copied.observe(self._errors)
        first = copied.layers[0].parameter
        for parameter in copied.parameters():
            parameter.requires_grad_(parameter is first)  # of weights nothing is needed but that errors reach them
        self._choice, self._number, self._every, self._momentum = choice, images, every, momentum
        if choice == "sample":
            self._number, self._every, self._momentum = -1, 1, 0.0
        self._until = until
        self._steps, self._computed = 0, -1
        self._sums: dict[int, Tensor] = {}
        self._weights: dict[int, Tensor] = {}

    def step(self) -> None:
        self._steps += 1

    def project(self, signals: LossSignals, index: int, activity: Tensor) -> Tensor:
        over = self._until is not None and self._steps >= self._until
        if not over and self._steps % self._every == 0 and self._computed != self._steps:
            self._computed = self._steps
            self._derive(signals.error.shape[0], signals.error.shape[2])
        if self._computed == self._steps:
            self._average(signals.error, index, activity)
        matrices = self.matrices(index)
        error = signals.error.to(matrices.dtype)
        if self._choice == "sample":
            sent = torch.einsum("tbk,tbk...->tb...", error, matrices)
        elif self._choice == "label":
            sent = torch.einsum("tbk,bk...->tb...", error, matrices[labels(error)])
        else:
            sent = torch.tensordot(error, matrices[0], 1)
            if self._choice == "own":
                sent = torch.where(activity > 0, torch.tensordot(error, matrices[1], 1), sent)
        return sent.to(activity.dtype)

    def matrices(self, index: int) -> Tensor:
        """M of a layer by what chooses it, (number, classes, features...), or (T, B, classes, features...)."""
        return self._sums[index] / self._weights[index].clamp(min=1e-12)

    def _derive(self, steps: int, classes: int) -> None:
        """Computes the derivatives of each sample: of every output, in a copy of the sample."""
        self._copied.network.load_state_dict(self._model[0].state_dict())
        images = self.images.seen[: self._number] if self._number > 0 else self.images.seen
        with torch.enable_grad():
            output = self._copied.forward(Static(images.repeat(classes, *[1] * (images.dim() - 1)), steps))
            copies = output.unflatten(1, (classes, len(images)))
            loss = torch.diagonal(copies, dim1=1, dim2=3).sum()
            self._copied.backward(loss)
        self._copied.layers[0].parameter.grad = None

    def _average(self, error: Tensor, index: int, activity: Tensor) -> None:
        """Adds derivatives to the averages of a layer."""
        classes = error.shape[2]
        arrived = self._errors.arrived_at[self.layers[index - 1].name].unflatten(1, (classes, -1))
        derivatives = arrived.movedim(1, 2).to(self.layers[-1].weight.dtype)  # (T, b, classes, features...)
        samples = derivatives.shape[1]
        if self._choice == "sample":
            self._sums[index], self._weights[index] = derivatives, derivatives.new_ones(())
            return
        extra = [1] * (derivatives.dim() - 3)
        if self._choice == "own":
            active = (activity[:, :samples] > 0).to(derivatives.dtype).unsqueeze(2)
            masks = [1.0 - active, active]
        elif self._choice == "label":
            chosen = labels(error)[:samples]
            kinds = [(chosen == label).to(derivatives.dtype) for label in range(classes)]
            masks = [kind.view(1, -1, 1, *extra).expand(len(derivatives), -1, -1, *extra) for kind in kinds]
        else:
            masks = [derivatives.new_ones(()).expand(len(derivatives), samples, 1, *extra)]
        sums = torch.stack([(mask * derivatives).sum((0, 1)) for mask in masks])
        weights = torch.stack([mask.sum((0, 1)) for mask in masks])
        before = self._sums.get(index)
        if before is not None:
            sums, weights = sums + self._momentum * before, weights + self._momentum * self._weights[index]
        self._sums[index], self._weights[index] = sums, weights


def labels(error: Tensor) -> Tensor:
    """The label of each sample, (B,): the one output whose error is below 0."""
    return error.sum(0).argmin(1)


class _Images(Observer):
    """Keeps the images of the last forward pass."""

    seen: Tensor

    def __init__(self) -> None:
        self._layer: str | None = None

    def product(self, layer: str, kind: ProductKind, product: SynapticProduct) -> None:
        self._layer = self._layer or layer  # the first layer is the first to report
        if layer == self._layer and kind == "forward" and product.pre is not None:
            self.seen = product.pre


class _Errors(Observer):
    """Keeps the error that has arrived at each layer's activity."""

    def __init__(self) -> None:
        self.arrived_at: dict[str, Tensor] = {}

    def arrived(self, layer: str, error: Tensor) -> None:
        self.arrived_at[layer] = error.clone()
