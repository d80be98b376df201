"""One training step in which one thing is changed at the right moment, and what the layers' updates became.

Trials are rebuilt from one seed, so two of them differ by what was changed and by nothing else.
"""

import copy
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from onchip.audit.setup import RATE, Setup, backward, other_values
from onchip.cost.ledger import Ledger
from onchip.nn.graph import SynapticLayer
from onchip.nn.neurons.base import Adjoint, Neuron, SavedTensors
from onchip.nn.synapses import Synapse
from onchip.nn.synapses.wrapper import SynapseWrapper

WARM_UP = 1
"""Training steps before the one that is audited: lazy feedback has begun, and weights have left their copies."""


@dataclass(frozen=True)
class UpdateProduct:
    """What one update product was made of.

    Args:
        pre: presynaptic factor (N, in...), time and batch folded into N.
        credit: error (N, out...).
        update: their product, of W's shape.
    """

    pre: Tensor
    credit: Tensor
    update: Tensor


@dataclass(frozen=True)
class Outcome:
    """What a training step left behind.

    Args:
        updates: gradients of each layer's parameters, by layer and name.
        factors: the update products of each layer.
        feedback: the feedback's state and gradients.
        sent_down: multiplications by which errors went from layer to layer.
    """

    updates: tuple[dict[str, Tensor], ...]
    factors: tuple[list[UpdateProduct], ...]
    feedback: dict[str, Tensor]
    sent_down: int


class RecordingSynapse(SynapseWrapper):
    """A synapse that writes down its update products.

    Args:
        inner: the synapse that does the work.
    """

    def __init__(self, inner: Synapse) -> None:
        super().__init__(inner)
        self.ones = False
        self.log: list[UpdateProduct] = []

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self.inner.apply((x != 0).to(x.dtype) if self.ones else x, weight, bias)

    def weight_grad(self, pre: Tensor, delta: Tensor) -> Tensor:
        update = self.inner.weight_grad(pre, delta)
        self.log.append(UpdateProduct(pre.detach().clone(), delta.detach().clone(), update.detach().clone()))
        return update


class Trial:
    """A network under a rule after some training steps, ready for the one that counts.

    Args:
        setup: what trials share.
    """

    def __init__(self, setup: Setup) -> None:
        _seed(setup.seed)
        self._setup = setup
        model = setup.build()
        self.rule = setup.make(model)
        own = {id(parameter) for parameter in model.parameters()}
        self._learnt = [parameter for parameter in self.rule.parameters() if id(parameter) not in own]
        self._optimizer = torch.optim.SGD(self.rule.parameters(), lr=RATE)
        for _ in range(WARM_UP):
            self._fill(setup.signal, setup.labels)
            self._optimizer.step()
            self._optimizer.zero_grad()
            self.rule.step()
        self._ledger = Ledger()
        self.rule.observe(self._ledger)
        self._watched: list[RecordingSynapse] = []
        self.rule.wrap(synapse=self._recording)

    def run(
        self,
        *,
        signal: Tensor | None = None,
        labels: Tensor | None = None,
        output_labels: Tensor | None = None,
        other_weights: Collection[int] = (),
        other_errors: Collection[int] = (),
        other_feedback: str | None = None,
        ones_between_layers: bool = False,
    ) -> Outcome:
        """Forward, loss and backward.

        Args:
            signal: another input.
            labels: other labels.
            output_labels: other labels for the network's output, but not for a layer's read-out of its own.
            other_weights: layers with other weights.
            other_errors: layers whose neurons send another error than theirs.
            other_feedback: name of a tensor of the feedback that is another.
            ones_between_layers: whether all layers but the first receive 1 for whatever is not zero.
        """
        _seed(self._setup.seed + 1)
        for index in other_weights:
            self._change(self.rule.layers[index].parameter)
        senders = [self.rule.layers[index] for index in other_errors]
        if senders:
            self.rule.wrap(neuron=lambda layer: _with_other_errors(layer.neuron) if layer in senders else layer.neuron)
        if other_feedback is not None:
            self._change(self.feedback_tensors()[other_feedback])
        for watched in self._watched[1:]:
            watched.ones = ones_between_layers
        setup = self._setup
        self._fill(
            setup.signal if signal is None else signal, setup.labels if labels is None else labels, output_labels
        )
        return self._outcome()

    def _recording(self, layer: SynapticLayer) -> RecordingSynapse:
        self._watched.append(RecordingSynapse(layer.synapse))
        return self._watched[-1]

    def stream(self, signal: Tensor) -> list[tuple[dict[str, Tensor], ...]]:
        """Learns step by step; the gradients after each step."""
        _seed(self._setup.seed + 1)
        found = []
        for _ in self.rule.stream(signal):
            backward(self.rule, self._setup.labels)
            found.append(self._updates())
        return found

    def feedback_tensors(self) -> dict[str, Tensor]:
        """What the feedback consists of, by name: the tensors themselves, counters apart."""
        return {
            name: value
            for name, value in self.rule.state_dict().items()
            if value.is_floating_point() and value.numel() and not name.endswith("_extra_state")
        }

    def feedback(self) -> dict[str, Tensor]:
        """A copy of the feedback's state and gradients."""
        state = {name: value.clone() for name, value in self.rule.state_dict().items()}
        for index, parameter in enumerate(self._learnt):
            if parameter.grad is not None:
                state[f"gradient {index}"] = parameter.grad.clone()
        return state

    def _fill(self, signal: Tensor, labels: Tensor, output_labels: Tensor | None = None) -> None:
        self.rule.forward(signal)
        backward(self.rule, labels, output_labels=output_labels)

    def _change(self, tensor: Tensor) -> None:
        """Gives every number of a tensor another sign and another size, in place."""
        generator = torch.Generator().manual_seed(self._setup.seed)
        tensor.detach().copy_(other_values(tensor.detach(), generator))

    def _outcome(self) -> Outcome:
        factors = tuple(watched.log for watched in self._watched)
        sent_down = int(self._ledger.summary()["products_backward"])
        return Outcome(self._updates(), factors, self.feedback(), sent_down)

    def _updates(self) -> tuple[dict[str, Tensor], ...]:
        found = []
        for stage in self.rule.layers:
            named = [*stage.module.named_parameters(), *stage.neuron.named_parameters()]
            found.append({name: p.grad.clone() for name, p in named if p.grad is not None})
        return tuple(found)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether two sets of tensors are equal, bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def _seed(seed: int) -> None:
    # An audit runs on the CPU; torch.manual_seed sees to every device and takes 2 ms.
    torch.default_generator.manual_seed(seed)


def _with_other_errors(neuron: Neuron) -> Neuron:
    """The neurons with the same parameters, which send an error of other sign and size."""

    class OtherErrors(type(neuron)):  # type: ignore[misc] # a class that is known only now
        def backward_through_time(self, error: Tensor, saved: SavedTensors) -> Tensor:
            return super().backward_through_time(error, saved).mul(-2.0)

        def backward_local(self, error: Tensor, saved: SavedTensors) -> Tensor:
            return super().backward_local(error, saved).mul(-2.0)

        def backward_own_state(self, error: Tensor, saved: SavedTensors) -> Tensor:
            return super().backward_own_state(error, saved).mul(-2.0)

        def adjoint(self, saved: SavedTensors, *, cut: bool) -> Adjoint:
            step = super().adjoint(saved, cut=cut)
            return lambda t, error: step(t, error).mul(-2.0)

    other = copy.copy(neuron)
    other.__class__ = OtherErrors
    return other
