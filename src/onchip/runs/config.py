"""What is asked for: the settings of one run, and of a comparison. All defaults stand here."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from onchip._types import misfits
from onchip.errors import RequestError, unknown_name

__all__ = ["RULES", "SEEDS", "STREAM_RULES", "RunConfig", "SweepConfig", "from_mapping"]

SEEDS = 3
"""Seeds of a comparison that asks for none: 0, 1, 2."""

RULES = ("bp", "ottt", "fbp", "fa", "dfa")
"""Rules of a comparison that asks for none: one of each way to bring an error to a layer."""

STREAM_RULES = ("bp", "ssnn_bp", "own_noise_mirror", "fa")
"""The same for neurons that send random spike trains."""


@dataclass(frozen=True)
class RunConfig:
    """The settings of one training run: with the data's files, all that its result depends on.

    Names are those of the command line; `rule`, `neuron` and `encoder` may carry options in the
    grammar of `onchip.runs.grammar`.

    Args:
        rule: the learning rule, such as `fbp:period=100`.
        seed: fixes the first weights, the order of the samples and every random draw.
        data: the data set.
        train_size: training samples to use, drawn class by class; None uses all there are.
        validation: share of the training samples that is held out, in [0, 1).
        net: the network, a function of `onchip.models`.
        neuron: the neuron, a class of `onchip.nn.neurons`.
        encoder: how an image becomes a signal; None takes `constant` for neurons that work in time
            steps and `latency` for those that work in spike times.
        loss: what is lowered, such as `steploss:0.05` or `winner`; None takes `steploss`, whose share of squared
            error is 0 for random spike trains.
        steps: time steps T that an encoder shows an image for.
        epochs: passes over the training samples.
        batch_size: samples a training step.
        chunk: samples of it at a time, for less memory; None for all at once. See `onchip.training.gradients`.
        lr: learning rate at the start.
        optimizer: `adam`, `adamw` (decoupled weight decay) or `sgd`.
        momentum: of `sgd`, in [0, 1).
        weight_decay: at least 0.
        schedule: `constant`, `cosine` from `lr` to 0 over all training steps, or `exponential`: times
            `lr_decay` after each epoch.
        lr_decay: of `exponential`, above 0 and at most 1.
        rates: `equal` for all layers, or `fan`: times min(1, 256 / fan-in); see `onchip.learning.lr_scaling`.
        synapses: devices that apply the updates in place of `optimizer`, such as `pulsed:quantum=0.003`, a function of
            `onchip.devices`; None for an optimizer.
        clip: norm that the gradient of all parameters together is scaled down to; None for any norm.
        patience: epochs without a new best validation accuracy after which training stops; None never stops.
        augment: random changes to training images, such as `crop:4,flip`; None for none.
        select: weights that meet the test set: those after the `last` epoch, or after the one
            with the `best` validation accuracy.
        probe: times that training stops for a look at its gradients and activity at even
            distances; see `onchip.diagnostics.probes`. It changes no result.
        precision: of products at synapses in training: `float32`, or `bfloat16`, with all else in float32; see
            `onchip.nn.synapses.bfloat16`.
        device: where to compute, as torch names it: `cpu`, `cuda`, `cuda:1`.

    Raises:
        RequestError: a number is out of range, or a choice does not exist.
    """

    rule: str = "bp"
    seed: int = 0
    data: str = "digits"
    train_size: int | None = None
    validation: float = 0.1
    net: str = "conv-small"
    neuron: str = "lif"
    encoder: str | None = None
    loss: str | None = None
    steps: int = 4
    epochs: int = 20
    batch_size: int = 32
    chunk: int | None = None
    lr: float = 5e-3
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Literal["cosine", "constant", "exponential"] = "cosine"
    lr_decay: float = 0.7
    rates: Literal["equal", "fan"] = "equal"
    synapses: str | None = None
    clip: float | None = None
    patience: int | None = None
    augment: str | None = None
    select: Literal["last", "best"] = "last"
    probe: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    device: str = "cpu"

    def __post_init__(self) -> None:
        _check(self.seed, "seed", 0 <= self.seed < 2**32, "a whole number from 0 to 2^32 - 1")
        _check(
            self.train_size,
            "train-size",
            self.train_size is None or self.train_size >= 1,
            "at least 1 sample",
        )
        _check(self.validation, "validation", 0.0 <= self.validation < 1.0, "a share of at least 0 and below 1")
        _check(self.steps, "steps", self.steps >= 1, "at least 1 time step")
        _check(self.epochs, "epochs", self.epochs >= 1, "at least 1 epoch")
        _check(self.batch_size, "batch-size", self.batch_size >= 1, "at least 1 sample a batch")
        _check(self.chunk, "chunk", self.chunk is None or self.chunk >= 1, "at least 1 sample at a time")
        _check(self.lr, "lr", 0.0 < self.lr <= 1e6, "a learning rate above 0, 1e6 at most")
        _check(self.momentum, "momentum", 0.0 <= self.momentum < 1.0, "at least 0 and below 1")
        _check(
            self.weight_decay,
            "weight-decay",
            math.isfinite(self.weight_decay) and self.weight_decay >= 0,
            "a finite number of at least 0",
        )
        _check(self.lr_decay, "lr-decay", 0.0 < self.lr_decay <= 1.0, "a factor above 0 and at most 1")
        _check(
            self.clip,
            "clip",
            self.clip is None or (math.isfinite(self.clip) and self.clip > 0),
            "a finite norm above 0",
        )
        _check(self.probe, "probe", self.probe >= 0, "how many times, at least 0")
        _check(self.patience, "patience", self.patience is None or self.patience >= 1, "at least 1 epoch")
        for field, hint in get_type_hints(RunConfig).items():
            if get_origin(hint) is Literal and getattr(self, field) not in get_args(hint):
                raise unknown_name(field, str(getattr(self, field)), get_args(hint))
        for name, value in (("clip", self.clip), ("weight-decay", self.weight_decay), ("chunk", self.chunk)):
            _check(value, name, self.synapses is None or not value, "none with synapses")
        _check(
            self.precision, "precision", self.synapses is None or self.precision == "float32", "float32 with synapses"
        )
        if self.select == "best" and self.validation == 0.0:
            raise RequestError("select 'best' needs validation samples; got validation=0, expected above 0")
        if self.patience is not None and self.validation == 0.0:
            raise RequestError("patience needs validation samples; got validation=0, expected above 0")


@dataclass(frozen=True)
class SweepConfig:
    """A comparison: every rule under every seed, all else equal.

    Args:
        base: the settings that the runs share; its rule and seed are not used.
        rules: the rules, each with its options.
        seeds: the seeds.

    Raises:
        RequestError: no rule, no seed, or one of them twice.
    """

    base: RunConfig
    rules: tuple[str, ...]
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        for what, values in (("rules", self.rules), ("seeds", self.seeds)):
            if not values:
                raise RequestError(f"a comparison got no {what}; expected at least one")
            twice = [value for value in values if list(values).count(value) > 1]
            if twice:
                raise RequestError(f"{what} names {twice[0]!r} twice; name it once")

    def runs(self) -> list[RunConfig]:
        """Settings of every run, seed by seed, so that a comparison cut short has met each rule."""
        return [dataclasses.replace(self.base, rule=rule, seed=seed) for seed in self.seeds for rule in self.rules]

    def to_dict(self) -> dict[str, Any]:
        """The request as plain values, as `run.json` keeps it."""
        shared = dataclasses.asdict(self.base)
        del shared["rule"], shared["seed"]
        return {"rules": list(self.rules), "seeds": list(self.seeds), **shared}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SweepConfig:
        """The request that `to_dict` wrote.

        Raises:
            RequestError: a setting is unknown, missing or of the wrong type.
        """
        rest = dict(values)
        rules, seeds = rest.pop("rules", None), rest.pop("seeds", None)
        if not isinstance(rules, list) or not isinstance(seeds, list):
            raise RequestError(f"a request got rules={rules!r}, seeds={seeds!r}; expected a list of each")
        return cls(from_mapping(rest), tuple(map(str, rules)), tuple(map(int, seeds)))


def from_mapping(values: Mapping[str, Any]) -> RunConfig:
    """Settings from names and values, each value checked against its setting's type.

    Raises:
        RequestError: a name is no setting, or a value is of another type or out of range.
    """
    hints = get_type_hints(RunConfig)
    for name in values:
        if name not in hints:
            raise unknown_name("setting", name, hints)
    for name, expected in misfits(values, RunConfig):
        raise RequestError(f"{name} got {values[name]!r}; expected {expected}")
    floats = {name: float(value) for name, value in values.items() if hints[name] is float}
    return RunConfig(**{**values, **floats})


def _check(value: object, name: str, good: bool, expected: str) -> None:
    if not good:
        raise RequestError(f"{name} got {value}; expected {expected}")
