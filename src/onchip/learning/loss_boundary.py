"""The boundary between a rule and the caller's loss, across which only the output's error passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from onchip.errors import OnchipError, RequestError
from onchip.learning.feedback.base import Feedback, LossSignals

__all__ = ["LossBoundary", "Pending"]


@dataclass(frozen=True)
class Pending:
    """A forward pass that waits for its backward pass.

    Args:
        output: The network's output, with the graph behind it.
        hidden: Hidden activity that gets an error of its own, with the graph behind it.
        exposed: The output as the caller has it, cut off from the graph.
        local: Outputs of local read-outs as the caller has them, by the index of their layer.
    """

    output: Tensor
    hidden: Mapping[int, Tensor]
    exposed: Tensor
    local: Mapping[int, Tensor]


class LossBoundary:
    """Exposes outputs to the caller and takes the loss back.

    Args:
        rule: Name of the rule, for messages.
    """

    def __init__(self, rule: str) -> None:
        self._rule = rule
        self._passes = 0
        self._arriving = 0
        self._outputs: list[Tensor] = []
        self._pending: Pending | None = None

    @property
    def passes(self) -> int:
        """Forward passes that could be followed by a backward pass."""
        return self._passes

    @property
    def outputs(self) -> list[Tensor]:
        """What the caller may make a loss of.

        Raises:
            RequestError: there was no forward pass, or it has had its backward pass.
        """
        if not self._outputs:
            raise RequestError(f"{self._rule}: no forward pass has outputs to show; call rule.forward first")
        return list(self._outputs)

    def expose(self, output: Tensor, hidden: Mapping[int, Tensor], feedback: Feedback) -> Tensor:
        """Cuts the output off, so that a loss's own backward() does not reach the weights past the rule."""
        if not any(tensor.requires_grad for tensor in (output, *hidden.values())):
            self._outputs = [output]
            return output
        self._passes += 1
        with torch.no_grad():
            outputs = {index: feedback.readout(index, h, output.shape[-1]) for index, h in hidden.items()}
        local = {index: local for index, local in outputs.items() if local is not None}
        exposed = output.detach()
        self._outputs = [exposed, *local.values()]
        for tensor in self._outputs:
            tensor.requires_grad_().register_hook(partial(self._check_arrival, self._passes))
        self._pending = Pending(output, hidden, exposed, local)
        return exposed

    def forget(self) -> None:
        """Drops a pass that waits, and its outputs."""
        self._pending, self._outputs = None, []

    def receive(self, loss: Tensor, samples: Tensor | None, layers: Sequence[str]) -> tuple[Pending, LossSignals]:
        """Runs the loss's own backward pass, down to the outputs.

        Args:
            loss: A scalar made of all outputs.
            samples: Values of the loss for each step and sample, or each sample.
            layers: Names of the synaptic layers, for messages.

        Raises:
            RequestError: no forward pass waits, the loss does not depend on it, or a shape is wrong.
        """
        if self._pending is None:
            raise RequestError(f"{self._rule}: backward without a forward pass; call rule.forward first")
        if loss.numel() != 1:
            raise RequestError(
                f"{self._rule}: got a loss of shape {tuple(loss.shape)}; expected one number. Take its mean"
            )
        pending, exposed = self._pending, self._pending.exposed
        if samples is not None and samples.shape not in (exposed.shape[:-1], exposed.shape[-2:-1]):
            raise RequestError(
                f"{self._rule}: got samples of shape {tuple(samples.shape)}; expected the loss of each step and "
                f"sample, {tuple(exposed.shape[:-1])}, or of each sample, {tuple(exposed.shape[-2:-1])}"
            )
        self.forget()
        if not loss.requires_grad:
            raise RequestError(
                f"{self._rule}: the loss does not depend on the network's output; make it of what "
                "rule.forward returned, without detach() or torch.no_grad()"
            )
        self._arriving = self._passes
        try:
            loss.backward()
        finally:
            self._arriving = 0
        if exposed.grad is None:
            raise RequestError(
                f"{self._rule}: the loss does not depend on what the last rule.forward returned; "
                "call backward once after each forward"
            )
        local: dict[int, Tensor] = {}
        for index, output in pending.local.items():
            if output.grad is None:
                raise RequestError(
                    f"{self._rule}: the loss does not depend on the local read-out of layer {layers[index - 1]!r}; "
                    "make it of all outputs, as sum(loss(out, labels) for out in rule.outputs)"
                )
            local[index] = output.grad
        return pending, LossSignals(exposed.grad, local, (loss if samples is None else samples).detach())

    def _check_arrival(self, number: int, error: Tensor) -> None:
        """Refuses an error at the output of pass `number` that `receive` does not expect."""
        if not self._arriving:
            raise OnchipError(
                f"loss.backward() was called on the output of rule {self._rule!r}, which would train nothing; "
                "call rule.backward(loss)"
            )
        if number != self._arriving:
            raise RequestError(
                f"{self._rule}: the loss depends on what an earlier rule.forward returned, which no longer waits; "
                "call backward once after each forward"
            )
