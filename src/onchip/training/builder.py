"""What one run is made of: network, rule, optimizer and sources of randomness, built from its settings."""

from __future__ import annotations

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
from onchip.cost.ledger import Ledger
from onchip.data import Dataset, load
from onchip.devices.crossbar import Crossbar
from onchip.diagnostics.probes import Probes
from onchip.encoding import Encoder
from onchip.errors import RequestError, UnsupportedError
from onchip.learning.lr_scaling import groups
from onchip.learning.rule import Rule
from onchip.losses import Loss
from onchip.nn.signals import SignalKind
from onchip.runs.config import RunConfig
from onchip.runs.record import Epoch, Record
from onchip.training import registry
from onchip.training.memory import enough

__all__ = ["Run", "build", "describe", "encoder", "evaluation_encoder", "load_data", "own_randomness"]

ORDER, ENCODING, EVALUATION = range(3)
"""Streams of random numbers that one seed is spread into; a rule's own draws touch none of them."""


@dataclass
class Run:
    """All that changes while a run trains.

    Args:
        model: the network.
        rule: the rule that trains it.
        optimizer: applies the rule's gradients; a `Crossbar` under `synapses`.
        ledger: observes the rule.
        probes: measures its gradients now and then.
        schedule: sets the optimizer's learning rates.
        kind: of the signals that the neurons exchange.
        loss: what is minimized.
        encode: turns images into signals.
        augment: changes training images at random; None for none.
        order: draws the order of the samples and their augmentation; always on the CPU.
        encoding: draws what a random encoder needs; on the model's device.
        history: epochs that are over.
        train_seconds: spent in training steps.
        seconds: spent on the whole run, up to the last checkpoint.
        best: the weights that `select='best'` would take; None under `last`.
        selected_epoch: the epoch that they, or the last ones, are of.
    """

    model: nn.Sequential
    rule: Rule
    optimizer: torch.optim.Optimizer
    ledger: Ledger
    probes: Probes
    schedule: LambdaLR
    kind: SignalKind
    loss: Loss
    encode: Encoder
    augment: Callable[[Tensor, torch.Generator], Tensor] | None
    order: torch.Generator
    encoding: torch.Generator
    history: list[Epoch] = field(default_factory=list)
    train_seconds: float = 0.0
    seconds: float = 0.0
    best: dict[str, Tensor] | None = None
    selected_epoch: int = 0

    def bill(self) -> dict[str, int | float]:
        """What the ledger counted, and what the device did, if there is one."""
        written = self.optimizer.summary() if isinstance(self.optimizer, Crossbar) else {}
        return {**self.ledger.summary(), **written}

    def state(self) -> dict[str, Any]:
        """Everything that training on from here needs."""
        device = self.encoding.device
        return {
            "model": self.model.state_dict(),
            "rule": self.rule.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ledger": self.ledger.state_dict(),
            "probes": self.probes.state(),
            "schedule": self.schedule.state_dict(),
            "order": self.order.get_state(),
            "encoding": self.encoding.get_state(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
            "history": [dataclasses.asdict(epoch) for epoch in self.history],
            "train_seconds": self.train_seconds,
            "seconds": self.seconds,
            "best": self.best,
            "selected_epoch": self.selected_epoch,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.model.load_state_dict(state["model"])
        self.rule.load_state_dict(state["rule"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.ledger.load_state_dict(state["ledger"])
        self.probes.restore(state["probes"])
        self.schedule.load_state_dict(state["schedule"])
        self.order.set_state(state["order"])
        self.encoding.set_state(state["encoding"])
        torch.set_rng_state(state["random"])
        if state["random_cuda"] is not None:
            torch.cuda.set_rng_state(state["random_cuda"], self.encoding.device)
        self.history = [Epoch(**epoch) for epoch in state["history"]]
        self.train_seconds = state["train_seconds"]
        self.seconds = state["seconds"]
        self.best = state["best"]
        self.selected_epoch = state["selected_epoch"]


def load_data(spec: RunConfig, *, root: str | os.PathLike[str] | None = None, download: bool = False) -> Dataset:
    """The data set of a run, in splits that are the same for every seed.

    Raises:
        RequestError: no such data set, or more samples asked for than there are.
        DataError: a file is missing or damaged.
    """
    return load(spec.data, root=root, train_size=spec.train_size, validation=spec.validation, download=download)


def build(spec: RunConfig, data: Dataset) -> Run:
    """A run before its first training step; call it under `own_randomness`.

    The network is built before the rule, so that its first weights do not depend on the rule.

    Raises:
        RequestError: the settings do not fit each other or the data.
        UnsupportedError: the rule cannot train this network.
        MemoryLimitError: the network does not fit into the device's memory.
    """
    if data.name != spec.data:
        raise RequestError(f"a run on {spec.data!r} got the data set {data.name!r}; load the one it names")
    make_rule = registry.rule(spec.rule)
    augment = registry.augmentation(spec.augment)
    kind = registry.neuron(spec.neuron)[1]
    loss = registry.loss(spec.loss, kind)
    if spec.chunk is not None and kind.spike_errors:
        raise UnsupportedError(
            f"got chunk={spec.chunk} for {spec.neuron}, whose errors are spikes of a worth that depends on the batch; "
            "use a smaller batch size"
        )
    device = registry.device(spec.device)
    order = torch.Generator().manual_seed(_spread(spec.seed, ORDER))
    encoding = torch.Generator(device).manual_seed(_spread(spec.seed, ENCODING))
    encode = encoder(spec, data, encoding)
    with enough(f"the network {spec.net!r} under {spec.rule}", spec.device):
        model = _network(spec, data).to(device)
        rule = make_rule(model)
    if spec.precision == "bfloat16":
        rule.in_bfloat16()
    ledger = Ledger()
    rule.observe(ledger)
    optimizer, steps = _optimizer(spec, rule), math.ceil(len(data.train) / spec.batch_size)
    rule.step_after(optimizer)
    schedule = LambdaLR(optimizer, partial(_learning_rate, spec, steps))
    probes = Probes(spec.probe, spec.epochs, steps)
    return Run(model, rule, optimizer, ledger, probes, schedule, kind, loss, encode, augment, order, encoding)


def encoder(spec: RunConfig, data: Dataset, generator: torch.Generator) -> Encoder:
    """What turns a run's images or recordings into signals, drawing from `generator` if it draws.

    Raises:
        RequestError: there is no such encoder, or the neurons do not take what it makes.
    """
    _, kind = registry.neuron(spec.neuron)
    recorded = data.frames is not None
    return registry.encoder(spec.encoder, kind, steps=spec.steps, generator=generator, recorded=recorded)[0]


def evaluation_encoder(spec: RunConfig, data: Dataset) -> Encoder:
    """As `encoder`, with the same draws each time, whenever and however often a run is evaluated."""
    device = registry.device(spec.device)
    return encoder(spec, data, torch.Generator(device).manual_seed(_spread(spec.seed, EVALUATION)))


def describe(spec: RunConfig, data: Dataset, model: nn.Sequential | None = None) -> Record:
    """The record of a run of which nothing is known but what was asked: a failed one, until told otherwise.

    Raises:
        RequestError: a name does not exist.
    """
    asked = registry.rule(spec.rule)
    _, kind = registry.neuron(spec.neuron)
    if model is None:
        with own_randomness(spec):
            model = _network(spec, data)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Record(
        label=asked.label,
        rule=asked.name,
        options=asked.options,
        seed=spec.seed,
        data=spec.data,
        shape=data.shape,
        classes=data.n_classes,
        train_size=len(data.train),
        validation_size=len(data.validation),
        test_size=len(data.test),
        network=spec.net,
        parameters=parameters,
        neuron=spec.neuron,
        encoder=registry.encoder(
            spec.encoder, kind, steps=spec.steps, generator=torch.Generator(), recorded=data.frames is not None
        )[1],
        steps=spec.steps if kind.over_time else None,
        epochs=spec.epochs,
        settings=dataclasses.asdict(spec),
        versions={
            "onchip": onchip.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "kernels": kernels.active(spec.device),
        },
        device=spec.device,
        device_name=registry.device_name(spec.device),
        threads=torch.get_num_threads(),
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


@contextmanager
def own_randomness(spec: RunConfig) -> Iterator[None]:
    """Seeds torch for a run, and leaves the caller's random state and cuDNN settings as they were."""
    device = registry.device(spec.device)
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        cudnn.deterministic, cudnn.benchmark = True, False
        try:
            torch.manual_seed(spec.seed)
            yield
        finally:
            cudnn.deterministic, cudnn.benchmark = before


def _network(spec: RunConfig, data: Dataset) -> nn.Sequential:
    make_neuron, _ = registry.neuron(spec.neuron)
    return registry.network(spec.net)(data.shape, data.n_classes, neuron=make_neuron)


def _optimizer(spec: RunConfig, rule: Rule) -> torch.optim.Optimizer:
    if spec.synapses is not None:
        return registry.synapses(spec.synapses, lr=spec.lr, lr_scaling=spec.lr_scaling)(rule)
    parameters = groups(rule.parameters(), spec.lr_scaling)
    # One pass over all that a step touches: Adam's takes a tenth of the time of torch's own choice on a CPU.
    shared: dict[str, Any] = {"lr": spec.lr, "weight_decay": spec.weight_decay, "fused": True}
    if spec.optimizer == "sgd":
        return torch.optim.SGD(parameters, momentum=spec.momentum, **shared)
    made = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[spec.optimizer]
    return made(parameters, **shared)


def _learning_rate(spec: RunConfig, steps: int, step: int) -> float:
    """Learning rate of training step `step`, from 0, at `steps` per epoch; each group multiplies it by its scale."""
    if spec.schedule == "constant":
        return spec.lr
    if spec.schedule == "exponential":
        return spec.lr * spec.lr_decay ** (step // steps)
    return spec.lr * 0.5 * (1.0 + math.cos(math.pi * step / (steps * spec.epochs)))


def _spread(seed: int, stream: int) -> int:
    """A seed of its own for each stream; torch's CPU generator looks at 32 bits only."""
    return int(np.random.SeedSequence((seed, stream)).generate_state(1, np.uint32)[0])
