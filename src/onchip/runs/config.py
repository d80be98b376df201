"""The settings of one run. Each setting is defined here alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args, get_origin, get_type_hints

from onchip._types import converted
from onchip.errors import RequestError, unknown_name


@dataclass(frozen=True)
class Setting:
    """The metadata of a field of `RunConfig`.

    Args:
        help: One sentence for the command line.
        group: The heading below which the command line shows it.
        valid: Whether a value, other than None, is in range.
        expected: The range in words.
        advanced: Whether few need it, so that the command line shows it with --help-all only.
    """

    help: str
    group: str
    valid: Callable[[Any], bool]
    expected: str
    advanced: bool = False


def _setting(
    group: str,
    default: Any,
    text: str,
    expected: str = "",
    valid: Callable[[Any], bool] = lambda value: True,
    *,
    advanced: bool = False,
) -> Any:
    return dataclasses.field(default=default, metadata={"setting": Setting(text, group, valid, expected, advanced)})


def _one(value: int) -> bool:
    return value >= 1


def _share(value: float) -> bool:
    return 0.0 <= value < 1.0


NETWORK, DATA, TRAINING, RUN = "Network", "Data", "Training", "Run"
_network, _data, _training, _run = (partial(_setting, group) for group in (NETWORK, DATA, TRAINING, RUN))


@dataclass(frozen=True)
class RunConfig:
    """The settings of one training run: together with the data's files, all that its result depends on.

    A field's `Setting` says what it means. The command line and TOML files make an option of each field. `rule`,
    `neuron`, `encoder`, `loss` and `synapses` may carry options in the grammar of `onchip.runs.grammar`.

    Raises:
        RequestError: a number is out of range, or a choice does not exist.

    Example:
        >>> RunConfig(rule="fbp:period=100", net="16C3-P2-F64").epochs
        20
    """

    net: str = _network("conv-small", "A name, layers such as 16C3-P2-F128, or my_net.py:build.")
    neuron: str = _network("lif", "Neuron of all layers, such as lif:decay=0.9.")
    encoder: str | None = _network(None, "How samples become signals. If left out, as suits data and neuron.")
    steps: int = _network(4, "Time steps T; sequences have their own.", "at least 1 time step", _one)
    init: Literal["default", "centered"] = _network(
        "default",
        "First weights: as usual for the neuron, or centered, with the sum 0 per hidden neuron; that helps deep "
        "networks of spike times.",
        advanced=True,
    )
    readout_scale: float = _network(
        1.0,
        "Factor on the first weights and biases of the read-out; small ones help deep networks of spike times.",
        "a factor above 0, 1e6 at most",
        lambda x: 0.0 < x <= 1e6,
        advanced=True,
    )

    data: str = _data(
        "digits",
        "A name of onchip data list, folder:PATH or my_data.py:load.",
    )
    train_size: int | None = _data(
        None, "Training samples to use, class by class. If left out, all.", "at least 1 sample", _one
    )
    validation: float = _data(
        0.1, "Share of the training samples for validation.", "a share of at least 0 and below 1", _share
    )
    augment: str | None = _data(None, "Changes to training images, such as crop:4,flip.")

    rule: str = _training("bp", "Learning rule, such as fbp:period=100;transport=top:0.1.")
    loss: str | None = _training(None, "steploss:0.05, or winner. If left out, as suits the neuron.")
    epochs: int = _training(20, "Passes over the training samples.", "at least 1 epoch", _one)
    batch_size: int = _training(32, "Samples per training step.", "at least 1 sample per batch", _one)
    chunk: int | None = _training(
        None,
        "Samples of a step to compute at a time, to save memory. If left out, all.",
        "at least 1 sample at a time",
        _one,
        advanced=True,
    )
    recompute: bool = _training(
        False,
        "Store less: compute each layer again in the backward pass. Equal results, in more time.",
        advanced=True,
    )
    lr: float = _training(
        5e-3, "Learning rate at the start.", "a learning rate above 0, 1e6 at most", lambda x: 0.0 < x <= 1e6
    )
    lr_scaling: Literal["equal", "fan"] = _training(
        "equal", "Learning rate per layer: equal, or times min(1, 256 / fan-in).", advanced=True
    )
    schedule: Literal["cosine", "constant", "exponential"] = _training(
        "cosine", "cosine, constant or exponential (--lr-decay per epoch)."
    )
    lr_decay: float = _training(
        0.7,
        "Factor per epoch of the exponential schedule.",
        "a factor above 0 and at most 1",
        lambda x: 0.0 < x <= 1.0,
        advanced=True,
    )
    optimizer: Literal["adam", "adamw", "sgd"] = _training("adam", "Optimizer.")
    momentum: float = _training(0.9, "Momentum of sgd.", "at least 0 and below 1", _share)
    weight_decay: float = _training(
        0.0, "Weight decay.", "a finite number of at least 0", lambda x: 0 <= x < math.inf, advanced=True
    )
    clip: float | None = _training(
        None,
        "Norm to which the gradient of all parameters together is scaled down.",
        "a finite norm above 0",
        lambda x: 0 < x < math.inf,
        advanced=True,
    )
    synapses: str | None = _training(None, "Memory device instead of the optimizer; see onchip devices.")
    patience: int | None = _training(
        None,
        "Epochs without a better validation accuracy after which training stops.",
        "at least 1 epoch",
        _one,
        advanced=True,
    )
    select: Literal["last", "best"] = _training(
        "last", "Weights to test: of the last epoch, or of the one with the best validation accuracy.", advanced=True
    )

    seed: int = _run(
        0,
        "Seed of first weights, order of samples and random draws.",
        "a whole number from 0 to 2^32 - 1",
        lambda x: 0 <= x < 2**32,
    )
    probe: int = _run(
        0,
        "How many times to measure gradients and activity during training; no result changes.",
        "how many times, 0 to 10,000",
        lambda x: 0 <= x <= 10_000,  # the record keeps each
        advanced=True,
    )
    precision: Literal["float32", "bfloat16"] = _run("float32", "Precision of products, spikes and errors in training.")
    device: str = _run("cpu", "Where to compute: cpu, cuda, cuda:1.")
    threads: int | None = _run(
        None,
        "CPU threads of a run. If left out, as many as torch uses, divided by --jobs.",
        "1 to 1024 threads",
        lambda x: 1 <= x <= 1024,
        advanced=True,
    )

    def __post_init__(self) -> None:
        hints = get_type_hints(RunConfig)
        for field in dataclasses.fields(self):
            value, setting = getattr(self, field.name), field.metadata["setting"]
            if get_origin(hints[field.name]) is Literal and value not in get_args(hints[field.name]):
                raise unknown_name(field.name, str(value), get_args(hints[field.name]))
            check(field.name, value, value is None or setting.valid(value), setting.expected)
        if self.synapses is not None:
            for name in ("clip", "weight_decay", "chunk"):
                check(name, getattr(self, name), not getattr(self, name), "none with synapses")
            check("precision", self.precision, self.precision == "float32", "float32 with synapses")
        if self.validation == 0.0 and (self.select == "best" or self.patience is not None):
            what = "select 'best'" if self.select == "best" else "patience"
            raise RequestError(f"{what} needs validation samples; got validation=0, expected above 0")


def from_mapping(values: Mapping[str, Any]) -> RunConfig:
    """Settings from names and values, each value checked against its setting's type.

    Raises:
        RequestError: a name is no setting, or a value is of another type or out of range.
    """
    hints = get_type_hints(RunConfig)
    for name in values:
        if name not in hints:
            raise unknown_name("setting", name, hints)
    return RunConfig(**{name: typed(name, value, hints[name]) for name, value in values.items()})


def typed(name: str, value: Any, kind: Any) -> Any:
    """A value as the type of its setting; `RunConfig` itself checks choices, because it knows the nearest one."""
    try:
        return converted(value, str if get_origin(kind) is Literal else kind)
    except ValueError as error:
        reason = str(error).replace("`", "").replace("Expected", "expected")
        raise RequestError(f"{name} got {value!r:.40}; {reason}") from error


def check(name: str, value: object, good: bool, expected: str) -> None:
    """Refuses a value that is not good.

    Raises:
        RequestError: always, unless `good`; it names setting, value and what was expected.
    """
    if not good:
        raise RequestError(f"{name.replace('_', '-')} got {value}; expected {expected}")
