"""One training step in which one thing is changed at the right moment, and what the layers' updates became.

Trials are rebuilt from one seed, so two of them differ by what was changed and by nothing else.
"""

import copy
from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from onchip import nn
from onchip.cost.ledger import Ledger
from onchip.learning.rule import Rule
from onchip.losses import StepLoss
from onchip.nn.graph import SynapticLayer
from onchip.nn.neurons.base import Neuron, SavedTensors
from onchip.nn.synapses import Synapse
from onchip.nn.synapses.wrapper import SynapseWrapper

WARM_UP = 1
"""Training steps before the one that is audited: lazy feedback has begun, and weights have left their copies."""
RATE = 0.01
"""Learning rate of the warm-up; large enough to move weights off their first values."""


@dataclass(frozen=True)
class Setup:
    """What every trial of an audit shares.

    Args:
        make: attaches the rule to a network.
        build: the network, drawn from torch's global generator.
        signal: (T, B, features...), or spike times (B, features...).
        labels: (B,), classes.
        seed: of every draw.
    """

    make: Callable[[nn.Sequential], Rule]
    build: Callable[[], nn.Sequential]
    signal: Tensor
    labels: Tensor
    seed: int


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
        pulled: multiplications by which errors went from layer to layer.
        booked: scalars of forward weights that the ledger saw copied.
    """

    updates: tuple[dict[str, Tensor], ...]
    factors: tuple[list[UpdateProduct], ...]
    feedback: dict[str, Tensor]
    pulled: int
    booked: int


class RecordingSynapse(SynapseWrapper):
    """A synapse that writes down its update products, and can keep a layer's weights to its forward product.

    Args:
        inner: the synapse that does the work.
        weight: the layer's W.
    """

    def __init__(self, inner: Synapse, weight: Tensor) -> None:
        super().__init__(inner)
        self.forward_weight = weight
        self.hidden: Tensor | None = None
        self.ones = False
        self.log: list[UpdateProduct] = []

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.hidden is not None and weight.data_ptr() == self.forward_weight.data_ptr():
            weight = self.hidden
        return self.inner.apply((x != 0).to(x.dtype) if self.ones else x, weight, bias)

    def weight_grad(self, pre: Tensor, delta: Tensor) -> Tensor:
        update = self.inner.weight_grad(pre, delta)
        self.log.append(UpdateProduct(pre.detach().clone(), delta.detach().clone(), update.detach().clone()))
        return update

    def field(self) -> tuple[Synapse, tuple[int, ...]]:
        inner, shape = self.inner.field()
        alone = RecordingSynapse(inner, self.forward_weight)
        alone.hidden = self.hidden
        return alone, shape


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
            other_weights: layers that hold other weights all the while, except in their forward product.
            other_errors: layers whose neurons send another error than theirs.
            other_feedback: name of a tensor of the feedback that is another.
            ones_between_layers: whether all layers but the first receive 1 for whatever is not zero.
        """
        _seed(self._setup.seed + 1)
        kept = self.swap(other_weights)
        senders = [self.rule.layers[index] for index in other_errors]
        if senders:
            self.rule.wrap(neuron=lambda layer: _with_other_errors(layer.neuron) if layer in senders else layer.neuron)
        if other_feedback is not None:
            _change(self.feedback_tensors()[other_feedback], self._own_generator())
        for watched in self._watched[1:]:
            watched.ones = ones_between_layers
        setup = self._setup
        self._fill(
            setup.signal if signal is None else signal, setup.labels if labels is None else labels, output_labels
        )
        self._restore(kept)
        return self._outcome()

    def _recording(self, layer: SynapticLayer) -> RecordingSynapse:
        self._watched.append(RecordingSynapse(layer.synapse, layer.weight))
        return self._watched[-1]

    def swap(self, layers: Collection[int], *, in_products: bool = False) -> dict[int, Tensor]:
        """Gives layers other weights; returns the ones they had.

        Args:
            layers: their indices.
            in_products: whether forward products see the others too.
        """
        generator = self._own_generator()
        kept = {}
        for index in layers:
            watched = self._watched[index]
            kept[index] = watched.forward_weight.detach().clone()
            _change(watched.forward_weight, generator)
            watched.hidden = None if in_products else kept[index]
        return kept

    def stream(self, signal: Tensor) -> list[tuple[dict[str, Tensor], ...]]:
        """Learns step by step; the gradients after each step."""
        _seed(self._setup.seed + 1)
        found = []
        for _ in self.rule.stream(signal):
            self._learn(self._setup.labels)
            found.append(self._updates())
        return found

    def step(self, number: int) -> None:
        """What follows the optimizer's step, under a seed of this number's."""
        _seed(self._setup.seed + 2 + number)
        self.rule.step()

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

    @property
    def booked(self) -> int:
        """Scalars of forward weights copied, as the ledger saw it."""
        return int(self._ledger.summary()["weights_transported"])

    def _fill(self, signal: Tensor, labels: Tensor, output_labels: Tensor | None = None) -> None:
        self.rule.forward(signal)
        self._learn(labels, output_labels)

    def _learn(self, labels: Tensor, output_labels: Tensor | None = None) -> None:
        """Backward, from the same loss as a training run's."""
        loss, (output, *local) = StepLoss(), self.rule.outputs
        wanted = labels if output_labels is None else output_labels
        losses = [loss(output, wanted), *(loss(own, labels) for own in local)]
        self.rule.backward(torch.stack(losses).sum(), loss.each(output.detach(), wanted))

    def _own_generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self._setup.seed)

    def _restore(self, kept: dict[int, Tensor]) -> None:
        for index, weight in kept.items():
            self._watched[index].forward_weight.data.copy_(weight)
            self._watched[index].hidden = None

    def _outcome(self) -> Outcome:
        factors = tuple(watched.log for watched in self._watched)
        backward = int(self._ledger.summary()["products_backward"])
        return Outcome(self._updates(), factors, self.feedback(), backward, self.booked)

    def _updates(self) -> tuple[dict[str, Tensor], ...]:
        found = []
        for stage in self.rule.layers:
            named = [*stage.module.named_parameters(), *stage.neuron.named_parameters()]
            found.append({name: p.grad.clone() for name, p in named if p.grad is not None})
        return tuple(found)


def _change(tensor: Tensor, generator: torch.Generator) -> None:
    """Gives every number another sign and another size, in place."""
    tensor.detach().mul_(-1.0 - torch.rand(tensor.shape, generator=generator).to(tensor))


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

    other = copy.copy(neuron)
    other.__class__ = OtherErrors
    return other
