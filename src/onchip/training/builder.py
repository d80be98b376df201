"""A run built from its configuration: network, rule, optimizer and sources of randomness."""

import dataclasses
import math
import os
import platform
from datetime import datetime, timezone
from functools import partial
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR

import onchip
from onchip import kernels
from onchip.cost.ledger import Ledger
from onchip.data import Dataset, load
from onchip.diagnostics.probes import Probes
from onchip.learning.lr_scaling import groups
from onchip.learning.ranks import ALONE, Ranks
from onchip.learning.rule import Rule
from onchip.runs.code import short
from onchip.runs.config import RunConfig
from onchip.runs.record import Record
from onchip.training import registry
from onchip.training.memory import enough
from onchip.training.networks import center_weights, scale_readout
from onchip.training.randomness import ENCODING, ORDER, OWN, spread
from onchip.training.resolved import Resolved
from onchip.training.run import Run


def load_data(config: RunConfig, *, root: str | os.PathLike[str] | None = None, download: bool = False) -> Dataset:
    """The data set of a run, in splits that are the same for every seed.

    Raises:
        RequestError: There is no such data set, or it has fewer samples than `train_size`.
        DataError: A file is missing or damaged.
    """
    return load(config.data, root=root, train_size=config.train_size, validation=config.validation, download=download)


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
        if config.init == "centered":
            center_weights(model)
        if config.readout_scale != 1.0:
            scale_readout(model, config.readout_scale)
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
