"""Updates of weights, and reports of the products that a layer computes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from onchip.learning.context import RuleContext
from onchip.learning.observers import ProductKind
from onchip.nn.graph import SynapticLayer
from onchip.nn.synapses.product import SynapticProduct


@dataclass(frozen=True)
class Synapses:
    """The synapses of a layer, or its recurrent ones, under a rule.

    Args:
        layer: The layer.
        index: Its position in the graph.
        context: The parts of the rule.
    """

    layer: SynapticLayer
    index: int
    context: RuleContext

    def update(self, pre: Tensor, delta: Tensor, unit: float | None, bias_delta: Tensor | None = None) -> Tensor | None:
        """Gradient of the weights; None where a sink takes the update.

        Args:
            pre: Presynaptic factor, (N, in...).
            delta: Error at the drive, (N, out...).
            unit: Value of one error spike, or None.
            bias_delta: Error whose sum over rows updates the bias of a sink; None for `delta`.
        """
        context, gradient = self.context, None
        if context.sink is None:
            gradient = self.layer.synapse.weight_grad(pre, delta)
        else:
            context.sink.take(self.layer, pre, delta, unit, bias_delta)
        self.report("update", pre.shape, delta.shape, pre, delta)
        if context.feedback.twin and self.index in context.feedback.senders:
            if context.sink is not None:
                feedback = context.feedback.weight(self.index)
                context.sink.take_feedback(feedback, self.layer.synapse, pre, delta, unit)
            self.report("feedback_update", pre.shape, delta.shape, pre, delta)
        return gradient

    def report(
        self,
        kind: ProductKind,
        inputs: torch.Size,
        outputs: torch.Size,
        pre: Tensor | None,
        post: Tensor | None,
        *,
        per_synapse: bool = False,
    ) -> None:
        """Reports a product with operands (N, in...) and (N, out...), and perhaps a state per synapse, to observers."""
        if not self.context.observers:
            return
        # An error passes through one part of the signal only, for example the spike times.
        parts = self.layer.neuron.signal.parts if pre is not None else 1
        product = SynapticProduct(self.layer.synapse, inputs, outputs, pre, post, parts, per_synapse)
        for observer in self.context.observers:
            observer.product(self.layer.name, kind, product)

    def report_all(self, kind: ProductKind, post: Tensor, times: int = 1) -> None:
        """Reports operations with the state of each synapse for every entry of post (B, out), not 0."""
        if self.context.observers:
            ones = post.new_ones(len(post), *self.layer.synapse.field()[1])
            for _ in range(times):
                self.report(kind, ones.shape, post.shape, ones, post, per_synapse=True)
