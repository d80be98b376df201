"""A run built from its configuration: network, rule, optimizer and sources of randomness."""

import dataclasses
import math
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

import onchip
from onchip import kernels, nn
from onchip._types import converted
from onchip.cost.ledger import Ledger, merged
from onchip.data import Dataset, batches, load
from onchip.devices.crossbar import Crossbar
from onchip.diagnostics.probes import Probes
from onchip.encoding import Encoder
from onchip.errors import RequestError
from onchip.learning.lr_scaling import groups
from onchip.learning.ranks import ALONE, Ranks
from onchip.learning.rule import Rule
from onchip.losses import Loss
from onchip.nn.signals import SignalKind
from onchip.runs import provenance
from onchip.runs.code import short
from onchip.runs.config import RunConfig
from onchip.runs.provenance import Stretch
from onchip.runs.record import Epoch, Record
from onchip.training import registry
from onchip.training.memory import enough
from onchip.training.networks import Network, network_of
from onchip.training.own_network import OwnNetwork

ORDER, ENCODING, EVALUATION, OWN = range(4)
"""Streams of random numbers that one seed is spread into; a rule's own draws touch none of them."""

STATEFUL = "model", "rule", "optimizer", "ledger", "schedule"
PLAIN = "train_seconds", "seconds", "best", "selected_epoch"
"""Fields of a run: those with a `state_dict`, and those that a checkpoint stores as they are."""


def load_data(config: RunConfig, *, root: str | os.PathLike[str] | None = None, download: bool = False) -> Dataset:
    """The data set of a run, in splits that are the same for every seed.

    Raises:
        RequestError: There is no such data set, or it has fewer samples than `train_size`.
        DataError: A file is missing or damaged.
    """
    return load(config.data, root=root, train_size=config.train_size, validation=config.validation, download=download)


@dataclass(frozen=True)
class Resolved:
    """A run's configuration with every name in it looked up, once: by `resolve`.

    Args:
        config: The configuration.
        data: The data set that it names.
        rule: Attaches the rule to a network.
        network: The network.
        loss: What is minimized.
        augment: Changes training images at random; None for none.
        device: Where to compute.
        encoder_name: The encoder with its options.
    """

    config: RunConfig
    data: Dataset
    rule: registry.Part
    network: Network
    loss: Loss
    augment: Callable[[Tensor, torch.Generator], Tensor] | None
    device: torch.device
    encoder_name: str

    @property
    def kind(self) -> SignalKind:
        """The kind of signal that the neurons exchange."""
        return self.network.kind

    @property
    def steps(self) -> int | None:
        """Time steps T per sample, of sequences those of the longest to train on; None for spike times."""
        own = self.data.kind.own_steps
        return (self.data.steps if own else self.config.steps) if self.kind.over_time else None

    def encoder(self, stream: int = EVALUATION, rank: int = 0) -> tuple[Encoder, torch.Generator]:
        """What turns samples into signals, and its generator at the beginning of a stream of draws of a process."""
        generator = torch.Generator(self.device).manual_seed(spread(self.config.seed, stream, rank))
        return _encoder(self.config, self.data, self.kind, generator)[0], generator


@dataclass(frozen=True)
class Given:
    """What was passed as an object, in place of the name that the configuration has for it.

    Args:
        network: Builds the network; None for the one that is named.
        rule: Attaches the rule; None for the one that is named.
        attached: Whether the rule is attached already, and can be used once.
    """

    network: OwnNetwork | None = None
    rule: registry.Part | None = None
    attached: bool = False


def resolve(config: RunConfig, data: Dataset, given: Given = Given()) -> Resolved:
    """Look up every name in a configuration.

    Args:
        config: The configuration.
        data: The data set that it names.
        given: Objects in place of names.

    Raises:
        RequestError: The settings do not fit each other or the data.
        MemoryLimitError: The device's memory is full.
    """
    if data.name != config.data:
        raise RequestError(f"a run on {config.data!r} got the data set {data.name!r}; load the one it names")
    if data.train.batch_size not in (None, config.batch_size):
        raise RequestError(
            f"got batch_size={config.batch_size} for a DataLoader with batches of {data.train.batch_size}; expected "
            f"the same. Use --batch-size {data.train.batch_size}, or batch_size={data.train.batch_size} in Python"
        )
    rule, augment = given.rule or registry.part("rule", config.rule), registry.augmentation(config.augment)
    if augment is not None:
        augment(torch.zeros(0, *data.train.sample_shape), torch.Generator())  # refuses samples that it cannot change
    seeded = partial(own_randomness, config)
    network = network_of(config, data.shape, data.n_classes, seeded=seeded, given=given.network)
    kind = network.kind
    loss = registry.loss(config.loss, kind)
    device = registry.device(config.device)
    encode, encoder_name = _encoder(config, data, kind, torch.Generator())
    if network.own is not None:
        samples, _ = next(batches(data.train, 1, shuffle=False))
        with own_randomness(config):
            network.own.check_output(network.make(), encode(samples.cpu()), data.n_classes)
    return Resolved(config, data, rule, network, loss, augment, device, encoder_name)


@dataclass
class Run:
    """All that changes while a run trains.

    Args:
        resolved: The configuration.
        model: The network.
        rule: The rule that trains it.
        optimizer: Applies the rule's gradients; a `Crossbar` under `synapses`.
        ledger: Counts what the rule does.
        probes: Measures its gradients now and then.
        schedule: Sets the optimizer's learning rates.
        encode: Turns samples into signals.
        order: Draws the order of the samples, and in a single process their augmentation; always on the CPU.
        encoding: Draws what a random encoder needs; on the model's device.
        history: The epochs that are over.
        provenance: What trained them.
        train_seconds: Time in training steps.
        seconds: Time in the whole run, up to the last checkpoint.
        best: The weights that `select='best'` would take; None under `last`.
        selected_epoch: The epoch of these weights, or the last one.
        augmenting: Draws the augmentation of this process's samples; `order` in a single process.
        counted: State of the ledger from which those of several processes began; None at the start.
    """

    resolved: Resolved
    model: nn.Sequential
    rule: Rule
    optimizer: torch.optim.Optimizer
    ledger: Ledger
    probes: Probes
    schedule: LambdaLR
    encode: Encoder
    order: torch.Generator
    encoding: torch.Generator
    history: list[Epoch] = field(default_factory=list)
    provenance: list[Stretch] = field(default_factory=list)
    train_seconds: float = 0.0
    seconds: float = 0.0
    best: dict[str, Tensor] | None = None
    selected_epoch: int = 0
    augmenting: torch.Generator = field(default_factory=torch.Generator)
    counted: dict[str, Tensor] | None = None

    @property
    def ranks(self) -> Ranks:
        """The processes that share each batch."""
        return self.rule.ranks

    def augment(self, samples: Tensor, order: torch.Generator) -> Tensor:
        """Samples (B, ...) of this process changed at random, with draws of its own where there are several."""
        assert self.resolved.augment is not None
        return self.resolved.augment(samples, order if self.ranks.size == 1 else self.augmenting)

    def chip(self) -> dict[str, Any]:
        """What a record says of the chip whose bits the synapses have; nothing without one."""
        profile = self.optimizer.profile if isinstance(self.optimizer, Crossbar) else {}
        return {**profile, "bits": True} if profile else {}

    def bill(self) -> dict[str, int | float]:
        """What the ledger counted, and what the device did, if there is one."""
        written = self.optimizer.summary() if isinstance(self.optimizer, Crossbar) else {}
        ledger = self.ledger
        if self.ranks.size > 1:
            ledger = Ledger()
            ledger.load_state_dict(self._counts())
        return {**ledger.summary(), **written}

    def _counts(self) -> dict[str, Tensor]:
        """State of the ledger, as if there were one process."""
        if self.ranks.size == 1:
            return self.ledger.state_dict()
        return merged(self.ranks.gather(self.ledger.state_dict()), self.counted)

    def _own(self) -> dict[str, Any]:
        """The random numbers that differ between processes."""
        return {
            "random": self.ranks.streams.own,
            "encoding": self.encoding.get_state(),
            "augmenting": self.augmenting.get_state(),
        }

    def state(self) -> dict[str, Any]:
        """Everything that training on from here needs; of all processes, which must call it together."""
        device = self.encoding.device
        own = {"ranks": self.ranks.gather(self._own())} if self.ranks.size > 1 else {}
        return {
            **own,
            **{name: getattr(self, name).state_dict() for name in STATEFUL},
            "ledger": self._counts(),
            **{name: getattr(self, name) for name in PLAIN},
            "probes": self.probes.state(),
            "order": self.order.get_state(),
            "encoding": self.encoding.get_state(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
            "history": [dataclasses.asdict(epoch) for epoch in self.history],
            "provenance": [stretch.to_dict() for stretch in self.provenance],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned; raises whatever its parts raise for anything else.

        Noise goes on where it was if there are as many processes as before; else it begins anew, from the seed and the
        number of epochs. All else goes on in any number of processes.
        """
        if state["best"] is not None:
            self.model.load_state_dict(state["best"])  # which it takes at the end of training
        for name in STATEFUL:
            getattr(self, name).load_state_dict(state[name])
        for parameter, held in self.optimizer.state.items():
            if any(isinstance(each, Tensor) and each.ndim and each.shape != parameter.shape for each in held.values()):
                raise ValueError("the optimizer's state is of other shapes than the weights")  # which torch trusts
        for name in PLAIN:
            setattr(self, name, state[name])
        self.probes.restore(state["probes"])
        self.order.set_state(state["order"])
        self.encoding.set_state(state["encoding"])
        torch.set_rng_state(state["random"])
        if state["random_cuda"] is not None:
            torch.cuda.set_rng_state(state["random_cuda"], self.encoding.device)
        self.history = converted(state["history"], list[Epoch])
        self.provenance = converted(state["provenance"], list[Stretch])
        self.train_seconds, self.seconds = converted([self.train_seconds, self.seconds], tuple[float, float])
        self._restore_own(state.get("ranks"))
        if not 1 <= self.selected_epoch <= len(self.history):
            raise ValueError(f"epoch {self.selected_epoch} is selected of {len(self.history)}")

    def _restore_own(self, saved: list[dict[str, Any]] | None) -> None:
        ranks, seed = self.ranks, self.resolved.config.seed
        if ranks.size == 1:
            return
        self.counted = self.ledger.state_dict()
        self.ledger.begin_at(self.counted)
        if saved is not None and len(saved) == ranks.size:
            own = saved[ranks.rank]
            ranks.streams.own = own["random"]
            self.encoding.set_state(own["encoding"])
            self.augmenting.set_state(own["augmenting"])
            return
        part = (len(self.history), ranks.size, ranks.rank)
        ranks.streams.seed(seed, OWN, *part)
        self.encoding.manual_seed(spread(seed, ENCODING, *part))
        self.augmenting.manual_seed(spread(seed, ORDER, *part))

    def continues(self) -> None:
        """Note what trains from here on, unless it is what trained before."""
        now = _stretch(self.resolved.config, len(self.history) + 1, self.ranks.size)
        if not self.provenance or dataclasses.replace(now, epoch=self.provenance[-1].epoch) != self.provenance[-1]:
            self.provenance.append(now)


def build(resolved: Resolved, ranks: Ranks = ALONE) -> Run:
    """A run before its first training step; call it under `own_randomness`.

    The network is built before the rule, so that its first weights do not depend on the rule.

    Args:
        resolved: The configuration.
        ranks: The processes that share each batch.

    Raises:
        RequestError: The settings do not fit each other or the data.
        UnsupportedError: The rule cannot train this network.
        MemoryLimitError: The network does not fit into the device's memory.
    """
    config, steps = resolved.config, resolved.data.train.n_batches(resolved.config.batch_size)
    order = torch.Generator().manual_seed(spread(config.seed, ORDER))
    encode, encoding = resolved.encoder(ENCODING, ranks.rank)
    augmenting = torch.Generator().manual_seed(spread(config.seed, ORDER, ranks.rank))
    ranks.streams.seed(config.seed, OWN, ranks.rank)
    with enough(f"the network {config.net!r} under {config.rule}", config.device):
        model = resolved.network.make().to(resolved.device)
        rule: Rule = resolved.rule(model)
    if config.precision == "bfloat16":
        rule.in_bfloat16()
    if config.recompute:
        rule.recompute()
    if ranks.size > 1:
        rule.divide(ranks)
    rule.observe(ledger := Ledger())
    optimizer = optimizer_for(config, rule)
    rule.step_after(optimizer)
    schedule = LambdaLR(optimizer, partial(_learning_rate, config, steps))
    probes = Probes(config.probe, config.epochs, steps)
    return Run(
        resolved, model, rule, optimizer, ledger, probes, schedule, encode, order, encoding, augmenting=augmenting
    )


def describe(resolved: Resolved) -> Record:
    """The record of a run before it trains: its status is `failed` until it has succeeded."""
    config, data = resolved.config, resolved.data
    return Record(
        label=resolved.rule.label,
        rule=resolved.rule.name,
        options=resolved.rule.options,
        seed=config.seed,
        data=short(config.data),
        shape=data.shape,
        classes=data.n_classes,
        train_size=len(data.train),
        validation_size=len(data.validation),
        test_size=len(data.test),
        network=short(config.net),
        parameters=resolved.network.parameters,
        neuron=resolved.network.neuron,
        encoder=resolved.encoder_name,
        steps=resolved.steps,
        epochs=config.epochs,
        settings=dataclasses.asdict(config),
        versions={
            "onchip": onchip.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "kernels": kernels.active(config.device),
        },
        device=config.device,
        device_name=registry.device_name(config.device),
        threads=config.threads or torch.get_num_threads(),
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def _stretch(config: RunConfig, epoch: int, processes: int) -> Stretch:
    """What trains in this process, from an epoch on."""
    return Stretch(
        epoch,
        **dataclasses.asdict(provenance.code()),
        torch=torch.__version__,
        kernels=kernels.active(config.device),
        threads=torch.get_num_threads(),
        device_name=registry.device_name(config.device),
        processes=processes,
    )


@contextmanager
def own_randomness(config: RunConfig) -> Iterator[None]:
    """Seed torch for a run and set its threads, and leave the caller's state as it was."""
    device = registry.device(config.device)
    cudnn = torch.backends.cudnn
    before, threads = (cudnn.deterministic, cudnn.benchmark), torch.get_num_threads()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        cudnn.deterministic, cudnn.benchmark = True, False
        try:
            torch.manual_seed(config.seed)
            torch.set_num_threads(config.threads or threads)
            yield
        finally:
            torch.set_num_threads(threads)
            cudnn.deterministic, cudnn.benchmark = before


def _encoder(config: RunConfig, data: Dataset, kind: SignalKind, generator: torch.Generator) -> tuple[Encoder, str]:
    return registry.encoder(config.encoder, kind, steps=config.steps, generator=generator, samples=data.kind)


def optimizer_for(config: RunConfig, rule: Rule) -> torch.optim.Optimizer:
    """What applies the gradients of a rule; a `Crossbar` under `synapses`."""
    if config.synapses is not None:
        return registry.part("device", config.synapses)(rule, lr=config.lr, lr_scaling=config.lr_scaling)
    parameters = groups(rule.parameters(), config.lr_scaling)
    # One pass over all that a step touches: Adam's takes a tenth of the time of torch's own choice on a CPU.
    shared: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay, "fused": True}
    if config.optimizer == "sgd":
        return torch.optim.SGD(parameters, momentum=config.momentum, **shared)
    adam = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
    return adam(parameters, **shared)


def _learning_rate(config: RunConfig, steps: int, step: int) -> float:
    """Learning rate of training step `step`, from 0, at `steps` per epoch; each group multiplies it by its scale."""
    if config.schedule == "constant":
        return config.lr
    if config.schedule == "exponential":
        return config.lr * config.lr_decay ** (step // steps)
    return config.lr * 0.5 * (1.0 + math.cos(math.pi * step / (steps * config.epochs)))


def spread(seed: int, stream: int, *rank: int) -> int:
    """A seed of its own for each stream, and each process but the first; torch's CPU generator uses 32 bits only."""
    own = rank if any(rank) else ()
    return int(np.random.SeedSequence((seed, stream, *own)).generate_state(1, np.uint32)[0])
