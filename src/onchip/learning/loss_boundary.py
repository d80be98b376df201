"""The boundary between a rule and the caller's loss, which only the output's error crosses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from onchip.errors import OnchipError, RequestError
from onchip.learning.feedback.base import Feedback, LossSignals
from onchip.learning.targets import TargetErrors


@dataclass(frozen=True)
class Pending:
    """A forward pass without its backward pass so far.

    Args:
        output: Output of the network, attached to the autograd graph.
        hidden: Hidden activity that gets an error of its own, attached to the autograd graph, by layer index.
        exposed: Output as returned to the caller, detached.
        local: Outputs of local read-outs as returned to the caller, detached, by the index of their layer.
    """

    output: Tensor
    hidden: Mapping[int, Tensor]
    exposed: Tensor
    local: Mapping[int, Tensor]


class LossBoundary:
    """Gives the caller detached outputs, and receives the loss; `rule` is a name for messages."""

    def __init__(self, rule: str) -> None:
        self._rule = rule
        self.passes = 0  # forward passes that a backward pass could follow
        self._expected = 0  # number of the pass whose error may arrive now
        self._outputs: list[Tensor] = []
        self._pending: Pending | None = None

    @property
    def outputs(self) -> list[Tensor]:
        """Outputs from which the caller may compute a loss.

        Raises:
            RequestError: There was no forward pass, or its backward pass is over.
        """
        if not self._outputs:
            raise RequestError(f"{self._rule}: no forward pass has outputs yet; call rule.forward first")
        return list(self._outputs)

    def expose(self, output: Tensor, hidden: Mapping[int, Tensor], feedback: Feedback) -> Tensor:
        """Detaches the output, so that loss.backward() cannot reach the weights without the rule."""
        if not any(tensor.requires_grad for tensor in (output, *hidden.values())):
            self._outputs = [output]
            return output
        self.passes += 1
        with torch.no_grad():
            outputs = {index: feedback.readout(index, h, output.shape[-1]) for index, h in hidden.items()}
        local = {index: local for index, local in outputs.items() if local is not None}
        exposed = output.detach()
        self._outputs = [exposed, *local.values()]
        for tensor in self._outputs:
            tensor.requires_grad_().register_hook(partial(self._check_arrival, self.passes))
        self._pending = Pending(output, hidden, exposed, local)
        return exposed

    def forget(self) -> None:
        """Drops the pending pass and its outputs."""
        self._pending, self._outputs = None, []

    def receive(
        self, loss: Tensor, samples: Tensor | None, layers: Sequence[str], targets: TargetErrors | None
    ) -> tuple[Pending, LossSignals]:
        """Runs the loss's own backward pass, down to the outputs.

        Args:
            loss: A scalar that depends on all outputs.
            samples: Loss per time step and sample, (T, B), or per sample, (B,); None for the mean alone.
            layers: Names of the synaptic layers, for messages.
            targets: What makes the targets into errors, for rules that project them; None for others.

        Raises:
            RequestError: No forward pass is pending, the loss does not depend on it, or a shape is wrong.
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
        projected = None if targets is None else targets(exposed)
        self.forget()
        if not loss.requires_grad:
            raise RequestError(
                f"{self._rule}: the loss does not depend on the network's output; compute it from what "
                "rule.forward returned, without detach() or torch.no_grad()"
            )
        self._expected = self.passes
        try:
            loss.backward()
        finally:
            self._expected = 0
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
                    "compute it from all outputs, as sum(loss(out, labels) for out in rule.outputs)"
                )
            local[index] = output.grad
        value = (loss if samples is None else samples).detach()
        return pending, LossSignals(exposed.grad, exposed.grad, local, value, projected)

    def _check_arrival(self, number: int, error: Tensor) -> None:
        """Refuses an error at the output of pass `number` outside of `receive`, or of an earlier pass."""
        if not self._expected:
            raise OnchipError(
                f"loss.backward() was called on the output of rule {self._rule!r}, which would train nothing; "
                "call rule.backward(loss)"
            )
        if number != self._expected:
            raise RequestError(
                f"{self._rule}: the loss depends on what an earlier rule.forward returned; "
                "call backward once after each forward"
            )
