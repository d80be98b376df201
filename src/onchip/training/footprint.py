"""The memory that a training step needs, said before training: from steps on few random samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from onchip.cost.ledger import Ledger
from onchip.cost.memory import BATCH_READY, FEW, FORWARD_OVER, Allocations, StepMemory, predicted, recorded
from onchip.data.samples import SampleKind
from onchip.learning.rule import Rule
from onchip.losses import Loss
from onchip.nn.graph import SynapticLayer
from onchip.nn.synapses.base import Synapse
from onchip.nn.synapses.hollow import HollowSynapse
from onchip.runs.config import RunConfig
from onchip.training import registry
from onchip.training.builder import optimizer_for
from onchip.training.gradients import gradients
from onchip.training.networks import Network


@dataclass(frozen=True)
class Footprint:
    """A network and settings, for which the memory of rules is asked.

    Args:
        config: The settings: encoder, time steps, loss, optimizer, precision, chunk, recomputation. Its names of data,
            network and rule are not used.
        network: The network.
        shape: Features of a sample at one time step.
        classes: Number of classes.
        samples: What the samples are.
    """

    config: RunConfig
    network: Network
    shape: Sequence[int]
    classes: int
    samples: SampleKind

    def need(self, rule: Callable[..., Rule]) -> Callable[[int], StepMemory]:
        """The memory of a training step under a rule, by the samples of its batch.

        Raises:
            UnsupportedError: The rule cannot train the network.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            made: list[TrainingSteps] = []

            def first(mark: Callable[[int], None]) -> Iterable[Tensor]:
                made.append(TrainingSteps(self, rule, hollow=True))
                return made[0].take(FEW[0], FEW[0])

            recorded(first)  # from the second step on, the optimizer has its state
            (steps,) = made
            over_time, chunk = self.network.kind.over_time, self.config.chunk
            of = predicted(steps.record, self.config.steps, steps.persistent(), over_time=over_time)
            if chunk is None:
                return of
            chunked = predicted(steps.in_chunks, self.config.steps, steps.persistent(), over_time=over_time)

            def need(batch: int) -> StepMemory:
                if batch <= chunk:
                    return of(batch)
                step = chunked(chunk)
                return replace(step, batch=step.batch * batch / (2 * chunk))  # all else is that of a chunk

            return need


class TrainingSteps:
    """Training steps as a run takes them, on random samples.

    Args:
        footprint: The network and the settings.
        rule: Attaches the rule.
        hollow: Whether products at synapses are left out, with the time that they take.

    Raises:
        UnsupportedError: The rule cannot train the network.
    """

    def __init__(self, footprint: Footprint, rule: Callable[..., Rule], *, hollow: bool) -> None:
        config = footprint.config
        self._asked, self._model = footprint, footprint.network.make()
        self._rule = rule(self._model)
        if hollow:
            recurrent = [layer.recurrent for layer in self._rule.layers]

            def replaced(layer: SynapticLayer) -> Synapse:
                # Compiled recurrence needs the synapse itself.
                return layer.synapse if any(layer is each for each in recurrent) else HollowSynapse(layer.synapse)

            self._rule.wrap(synapse=replaced)
        if config.precision == "bfloat16":
            self._rule.in_bfloat16()
        if config.recompute:
            self._rule.recompute()
        self._rule.observe(Ledger())  # whose exact counts, at every 50th step, go through operands in pieces
        self._optimizer = optimizer_for(config, self._rule)
        self._rule.step_after(self._optimizer)
        self._loss = registry.loss(config.loss, footprint.network.kind)

    def take(
        self, batch: int, steps: int, chunk: int | None = None, mark: Callable[[int], None] = lambda place: None
    ) -> Iterable[Tensor]:
        """Takes a step on random samples; yields the gradients, and then applies them."""
        asked, kind = self._asked, self._asked.network.kind
        leading = (batch, steps) if asked.samples.over_time else (batch,)
        samples, labels = torch.rand(*leading, *asked.shape), torch.arange(batch) % asked.classes
        generator = torch.Generator()
        encode, _ = registry.encoder(
            asked.config.encoder, kind, steps=steps, generator=generator, samples=asked.samples
        )
        signal = encode(samples)
        mark(BATCH_READY)
        gradients(self._rule, _Marked(self._loss, mark), signal, labels, kind, chunk)
        found = [parameter.grad for parameter in self._rule.parameters() if parameter.grad is not None]
        self._optimizer.step()
        self._optimizer.zero_grad()
        return found

    def record(self, batch: int, steps: int) -> Allocations:
        """The allocations of a step on a whole batch."""
        return recorded(lambda mark: self.take(batch, steps, None, mark))

    def in_chunks(self, chunk: int, steps: int) -> Allocations:
        """The allocations of a step on two chunks."""
        return recorded(lambda mark: self.take(2 * chunk, steps, chunk, mark))

    def persistent(self) -> tuple[float, float, float]:
        """Bytes of the weights, of the optimizer's state, and of the rule's feedback."""
        model, feedback = self._model, self._rule.feedback
        state = [value for held in self._optimizer.state.values() for value in held.values()]
        groups = (
            [*model.parameters(), *model.buffers()],
            [value for value in state if isinstance(value, Tensor)],
            [*feedback.parameters(), *feedback.buffers()],
        )
        weights, optimizer, own = (float(sum(tensor.nbytes for tensor in tensors)) for tensors in groups)
        return weights, optimizer, own


@dataclass(frozen=True)
class _Marked(Loss):
    """A loss that marks the end of each forward pass, which it follows."""

    loss: Loss
    mark: Callable[[int], None]

    def __call__(self, out: Tensor, labels: Tensor) -> Tensor:
        self.mark(FORWARD_OVER)
        return self.loss(out, labels)

    def each(self, out: Tensor, labels: Tensor) -> Tensor:
        return self.loss.each(out, labels)
