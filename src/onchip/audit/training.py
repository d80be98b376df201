"""A stretch of training in which only the network's own forward product sees the weights of some layer.

Two stretches from one seed, of which one has decoys, differ in nothing but what reads of the weights make of them.
"""

import contextlib
import hashlib
import random
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy
import torch
from torch import Tensor

from onchip.audit.decoys import DecoySynapse
from onchip.audit.setup import RATE, Setup, backward, other_values
from onchip.errors import RequestError, UnsupportedError
from onchip.learning.observers import Observer, ProductKind
from onchip.nn.graph import SynapticLayer
from onchip.nn.signals import Signal, tensor_of
from onchip.nn.synapses.product import SynapticProduct
from onchip.transport import Transported


@dataclass(frozen=True)
class Condition:
    """What is unusual about a step, so that reads which wait for a condition on weights or loss may happen.

    Args:
        weights: Factor on all forward weights.
        loss: Factor on the loss and its derivative.
        samples: Samples of the batch; None for all.
        stream: Whether the sequence comes as a stream, where the rule can learn from one.
        evaluates: Whether a forward pass in evaluation mode comes first.
    """

    weights: float = 1.0
    loss: float = 1.0
    samples: int | None = None
    stream: bool = False
    evaluates: bool = False

    @property
    def trains(self) -> bool:
        """Whether the step is an ordinary one, after which the optimizer changes the weights."""
        return self == Condition()


CONDITIONS = (
    *4 * [Condition()],
    Condition(weights=10.0),
    Condition(weights=0.1),
    Condition(weights=-1.0),
    Condition(loss=1e-4),
    Condition(loss=1e4),
    Condition(evaluates=True),
    Condition(stream=True),
    Condition(samples=1),
)
"""The conditions of successive steps, over and over."""


@dataclass(frozen=True)
class Decoys:
    """Which weights are hidden from everything but the network's own forward product, and when.

    Args:
        layers: Indices of the layers.
        only: The only step with decoys, from 1; None for all steps.
        in_step: Whether decoys are there from the forward to the end of the backward pass only.
        shown: Steps without decoys.
        probes: Whether forward products that the feedback computes see the weights, too.
    """

    layers: tuple[int, ...]
    only: int | None = None
    in_step: bool = False
    shown: frozenset[int] = frozenset()
    probes: bool = False

    def hidden(self, step: int, *, in_step: bool) -> tuple[int, ...]:
        """The layers with decoys at this moment."""
        active = self.only in (None, step) and step not in self.shown and (in_step or not self.in_step)
        return self.layers if active else ()


@dataclass
class StepLog:
    """What one training step left behind, as digests.

    Args:
        updates: Gradients of each layer's parameters.
        backward: All other state after the backward pass.
        step: All other state after `rule.step`.
        booked: Scalars of forward weights that were reported as transported, by layer.
        probed: Layers with a reported forward product of the feedback.
        unbooked: Layers with a forward product of the feedback, or a changed input, that was not reported.
        probes: The operands of these products.
        single: Layers of which a product of the feedback read single weights.
    """

    updates: tuple[dict[str, str], ...] = ()
    backward: dict[str, str] = field(default_factory=dict)
    step: dict[str, str] = field(default_factory=dict)
    booked: dict[int, int] = field(default_factory=dict)
    probed: set[int] = field(default_factory=set)
    unbooked: set[int] = field(default_factory=set)
    probes: list[str] = field(default_factory=list)
    single: set[int] = field(default_factory=set)


NOTHING_HIDDEN = Decoys(())


def train(
    setup: Setup,
    steps: int,
    decoys: Decoys = NOTHING_HIDDEN,
    *,
    draws: int = 0,
    over: Callable[[int, StepLog], bool] = lambda step, log: False,
) -> list[StepLog]:
    """Trains a network from the seed of the audit.

    Args:
        setup: What all trials share.
        steps: Training steps.
        decoys: What is hidden.
        draws: Added to the seed of random numbers after the network and the rule were made.
        over: Whether a step, from 1, with this log was the last one of interest.

    Returns:
        The log of each step.
    """
    with warnings.catch_warnings(), _own_random_numbers(setup.seed), torch.enable_grad():
        warnings.simplefilter("ignore")  # of silent layers, and of conditions that are unusual on purpose
        training = _Training(setup, decoys)
        torch.default_generator.manual_seed(setup.seed + 1 + draws)
        logs: list[StepLog] = []
        for step in range(1, steps + 1):
            logs.append(training.step(step))
            if over(step, logs[-1]):
                break
        return logs


@contextlib.contextmanager
def _own_random_numbers(seed: int) -> Iterator[None]:
    """Seeds every generator of random numbers, and restores them afterwards."""
    # Numpy's global generator, because that is the one in which something could be hidden.
    before, legacy = random.getstate(), numpy.random.get_state()  # noqa: NPY002
    random.seed(seed)
    numpy.random.seed(seed)  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(before)
        numpy.random.set_state(legacy)  # noqa: NPY002


class _Training(Observer):
    """One network, its rule, the weights that its forward products use, and the log of the current step."""

    def __init__(self, setup: Setup, decoys: Decoys) -> None:
        torch.default_generator.manual_seed(setup.seed)
        self._setup = setup
        self._decoys = decoys
        self._model = setup.build()
        self._rule = setup.make(self._model)
        self._optimizer = torch.optim.SGD(self._rule.parameters(), lr=RATE)
        self._layers = self._rule.layers
        self._index = {layer.name: index for index, layer in enumerate(self._layers)}
        own = {id(parameter) for parameter in self._model.parameters()}
        self._learned = [parameter for parameter in self._rule.parameters() if id(parameter) not in own]
        self._weights = [layer.parameter.detach().clone() for layer in self._layers]
        self._served: dict[int, Tensor] = {}
        generator = torch.Generator().manual_seed(setup.seed)
        self._factors = [other_values(torch.ones_like(weight), generator) for weight in self._weights]
        self._scale = 1.0
        self._log = StepLog()
        self._computed: list[list[str]] = []
        self._drawn = 0
        self._pending: list[tuple[int, Tensor]] = []
        self._rule.observe(self)
        self._rule.wrap(synapse=self._synapse)
        feedback = self._rule.feedback
        self._watch(feedback, "receive")
        self._watch(feedback, "at_drive")

    def step(self, number: int) -> StepLog:
        """One training step: forward, backward, optimizer, feedback."""
        self._log = log = StepLog()
        self._computed = [[] for _ in self._layers]
        condition = CONDITIONS[(number - 1) % len(CONDITIONS)]
        self._scale = condition.weights
        self._show(number, in_step=True)
        if condition.evaluates:
            self._evaluate()
        with contextlib.suppress(RequestError, UnsupportedError):  # the rule refuses this condition
            self._learn(condition)
        log.updates = tuple(self._updates(index, layer) for index, layer in enumerate(self._layers))
        log.backward = self._state(hidden=self._decoys.hidden(number, in_step=True))
        if condition.trains:
            for layer, weight in zip(self._layers, self._weights, strict=True):
                if layer.weight is not layer.parameter:
                    # These gradients depend on the visible parameters, so the parameters stay what they are.
                    layer.module.zero_grad()
                elif layer.parameter.grad is not None:
                    weight.add_(layer.parameter.grad, alpha=-RATE)
            self._optimizer.step()
        self._show(number, in_step=False)
        self._optimizer.zero_grad()
        self._rule.step()
        log.step = self._state(hidden=self._decoys.hidden(number, in_step=False))
        log.unbooked |= {index for index, _ in self._pending}
        self._pending.clear()
        return log

    def _learn(self, condition: Condition) -> None:
        signal, labels = self._setup.signal, self._setup.labels
        if condition.samples is not None:
            signal = signal.narrow(int(self._layers[0].neuron.signal.over_time), 0, condition.samples)
            labels = labels[: condition.samples]
        passes = self._streamed(signal) if condition.stream else self._whole(signal)
        for _ in passes:
            backward(self._rule, labels, scale=condition.loss)

    def _whole(self, signal: Tensor) -> Iterator[Tensor]:
        yield self._rule.forward(signal)

    def _streamed(self, signal: Tensor) -> Iterator[Tensor]:
        yield from self._rule.stream(signal)

    def _evaluate(self) -> None:
        self._model.eval()
        with torch.no_grad():
            self._rule.forward(self._setup.signal)
        self._model.train()

    def _show(self, number: int, *, in_step: bool) -> None:
        """Sets the visible weights: the ones that forward products use, or decoys."""
        self._served.clear()
        for layer, weight in zip(self._layers, self._weights, strict=True):
            layer.parameter.data.copy_(weight).mul_(self._scale)
        hidden = {id(self._layers[index].module): index for index in self._decoys.hidden(number, in_step=in_step)}
        for index, layer in enumerate(self._layers):
            if id(layer.module) in hidden:  # several, if the network uses a module twice
                self._served[index] = layer.weight.detach().clone()
        for index in hidden.values():
            self._layers[index].parameter.data.mul_(self._factors[index])

    def _synapse(self, layer: SynapticLayer) -> DecoySynapse:
        index = self._index[layer.name]

        def serve(x: Tensor, weight: Tensor, own: bool) -> Tensor:
            if own:
                return self._served.get(index, weight)
            visible = layer.weight
            if weight.shape != visible.shape or not torch.equal(weight, visible):
                return weight  # the product of something else
            self._pending.append((index, x.detach().clone()))
            return self._served.get(index, weight) if self._decoys.probes else weight

        def made(update: Tensor) -> None:
            if layer.weight is not layer.parameter:
                self._computed[index].append(_digest(update))

        return DecoySynapse(layer.synapse, serve, made, _BEGIN)

    def _watch(self, feedback: torch.nn.Module, hook: Literal["receive", "at_drive"]) -> None:
        """Notices inputs and drives that the feedback changes by anything but reported random numbers."""
        original: Callable[[int, Signal], Signal] = getattr(feedback, hook)

        def watched(index: int, signal: Signal) -> Signal:
            before, drawn = tensor_of(signal).clone(), self._drawn
            changed = original(index, signal)
            if self._drawn == drawn and not torch.equal(tensor_of(changed), before):
                self._log.unbooked.add(index)
            return changed

        setattr(feedback, hook, watched)

    def _updates(self, index: int, layer: SynapticLayer) -> dict[str, str]:
        if layer.weight is not layer.parameter:
            return {
                str(number): digest for number, digest in enumerate(self._computed[index])
            }  # gradients of the parameters depend on the visible ones
        named = [*layer.module.named_parameters(), *layer.neuron.named_parameters()]
        return {name: _digest(p.grad) for name, p in named if p.grad is not None}

    def _state(self, *, hidden: tuple[int, ...]) -> dict[str, str]:
        """Everything that may hold a copy, apart from the weights of hidden layers and from gradients."""
        state = {f"feedback {name}": _digest(value) for name, value in self._rule.state_dict().items()}
        for index, parameter in enumerate(self._learned):
            if parameter.grad is not None:
                state[f"gradient of feedback {index}"] = _digest(parameter.grad)
        skipped = {id(self._layers[index].parameter) for index in hidden}
        state |= {name: _digest(value) for name, value in self._model.named_parameters() if id(value) not in skipped}
        state |= {name: _digest(value) for name, value in self._model.named_buffers()}
        drawn = numpy.random.get_state(legacy=False)["state"]["key"]  # noqa: NPY002
        state["random numbers"] = f"{_digest(torch.get_rng_state())} {hash(random.getstate())} {hash(drawn.tobytes())}"
        return state

    def product(self, layer: str, kind: ProductKind, product: SynapticProduct) -> None:
        if kind != "probe" or product.pre is None:
            return
        index, pre = self._index[layer], product.pre
        for number, (probed, x) in enumerate(self._pending):
            if probed == index and x.shape == pre.shape and torch.equal(x, pre):
                del self._pending[number]
                self._log.probed.add(index)
                self._log.probes.append(_digest(x))
                rows = x.flatten(1)
                if rows.shape[1] > 1 and bool((rows.count_nonzero(1) <= 1).all()):
                    self._log.single.add(index)
                return

    def drew(self, layer: str, count: int) -> None:
        self._drawn += count

    def transport(self, layer: str, moved: Transported, *, initial: bool) -> None:
        index = self._index[layer]
        self._log.booked[index] = self._log.booked.get(index, 0) + (0 if initial else moved.scalars)


_BEGIN = frozenset(method.__code__ for method in (_Training._whole, _Training._streamed, _Training._evaluate))


def _digest(tensor: Tensor) -> str:
    # A zero has no sign here.
    values = (tensor.detach() + 0).flatten().contiguous()
    return hashlib.blake2b(values.view(torch.uint8).numpy().data, digest_size=16).hexdigest()
