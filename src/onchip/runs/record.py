"""One line of JSON a run: what was asked, what came out, and on what it ran."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from onchip._files import write_whole
from onchip._types import misfits
from onchip.errors import DataError
from onchip.runs.old_records import modernized

FORMAT = 2


@dataclass(frozen=True)
class Epoch:
    """One pass over the training samples.

    Args:
        epoch: its number, from 1.
        train_loss: mean loss over its samples, as met while training.
        validation_accuracy: in [0, 1]; None without validation samples.
        seconds: spent training, validation apart.
    """

    epoch: int
    train_loss: float
    validation_accuracy: float | None
    seconds: float


@dataclass(frozen=True)
class Probe:
    """What was seen when training stopped for a moment to look; see `onchip.diagnostics.probes`.

    Args:
        step: training steps before it.
        layers: layer's name -> quantity's name -> value; None where the quantity has no value.
    """

    step: int
    layers: dict[str, dict[str, float | None]]


@dataclass(frozen=True)
class Record:
    """The result of one run, beside all settings that led to it.

    Args:
        label: the rule as it was asked for, such as `fbp:period=100`.
        rule: the rule's name alone.
        options: all its options, those left at their defaults too.
        seed: the run's seed.
        data: the data set's name.
        shape: (C, H, W) of an image.
        classes: number of classes.
        train_size: samples trained on, validation apart.
        validation_size: samples held out from training.
        test_size: samples of the test set.
        network: the network's name.
        parameters: trained numbers in it.
        neuron: the neuron, with the options given.
        encoder: the encoder, with the options given.
        steps: time steps T that the encoder shows an image for; None for spike times, which have none.
        epochs: passes over the training samples that were asked for.
        settings: everything that was asked for; `settings.from_mapping` makes it a run again.
        status: `ok`, or `failed` with the reason in `error`.
        error: why it failed; None when it did not.
        test_accuracy: in [0, 1], measured once, at the end; None if the run failed.
        validation_accuracy: in [0, 1], of the same weights; None without validation samples.
        selected_epoch: the epoch after which the weights were taken.
        history: the epochs.
        probes: what probes saw while it trained; empty without them.
        ledger: what the engine counted over all training steps.
        seconds: the whole run, evaluation included.
        train_seconds: its training steps alone.
        samples_per_second: training samples through one step, a second.
        versions: of onchip, torch, Python and the platform, and which kernels ran on the CPU.
        device: where it ran, as torch names it.
        device_name: the processor's name.
        threads: CPU threads that torch used.
        started: date and time, UTC, ISO 8601.
    """

    label: str
    rule: str
    options: dict[str, Any]
    seed: int
    data: str
    shape: tuple[int, ...]
    classes: int
    train_size: int
    validation_size: int
    test_size: int
    network: str
    parameters: int
    neuron: str
    encoder: str
    steps: int | None
    epochs: int
    settings: dict[str, Any]
    versions: dict[str, str]
    device: str
    device_name: str
    threads: int
    started: str
    status: Literal["ok", "failed"] = "failed"
    error: str | None = None
    test_accuracy: float | None = None
    validation_accuracy: float | None = None
    selected_epoch: int | None = None
    history: tuple[Epoch, ...] = ()
    probes: tuple[Probe, ...] = ()
    ledger: dict[str, int | float] = field(default_factory=dict)
    seconds: float = 0.0
    train_seconds: float = 0.0
    samples_per_second: float | None = None
    format: int = FORMAT

    def to_json(self) -> str:
        """The record as one line of JSON, without the line's end."""
        return json.dumps(dataclasses.asdict(self), allow_nan=False, ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> Record:
        """The record that `to_json` wrote.

        Raises:
            DataError: the line is no record, or one of another format.
        """
        try:
            values = json.loads(line, parse_constant=_refused, parse_float=_float, parse_int=_int)
            if values.get("format") == 1:
                values = modernized(values)
            if values.get("format") != FORMAT:
                raise DataError(f"a record got format {values.get('format')!r}; this version reads {FORMAT}")
            values["history"] = tuple(Epoch(**epoch) for epoch in values["history"])
            values["probes"] = tuple(Probe(**probe) for probe in values.get("probes", ()))
            values["shape"] = tuple(values["shape"])
            record = cls(**values)
            _check(record)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DataError(f"got {line[:80]!r}; expected a record as one line of JSON ({error})") from error
        return record


def append(path: Path, record: Record) -> None:
    """Add a record to a file, which is whole at any moment; the file may not exist yet."""
    earlier = path.read_text(encoding="utf-8") if path.exists() else ""
    write_whole(path, f"{earlier}{record.to_json()}\n")


def read(path: Path) -> list[Record]:
    """The records of a file, in the order in which the runs finished; none if there is no file.

    Raises:
        DataError: a line is no record; the message names it.
    """
    if not path.exists():
        return []
    records, damaged = read_sound(path)
    if damaged:
        raise DataError(damaged[0])
    return records


def read_sound(path: Path) -> tuple[list[Record], list[str]]:
    """The records of a file as far as they are sound, and a message for each line that is no record.

    Raises:
        OSError: the file cannot be read.
    """
    records, damaged = [], []
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        try:
            if line.strip():
                records.append(Record.from_json(line.decode()))
        except (DataError, UnicodeDecodeError) as error:
            damaged.append(f"{path.name}, line {number}: {error}")
    return records, damaged


def _check(record: Record) -> None:
    """Every value is of its type, and fits the others."""
    for part in (record, *record.history, *record.probes):
        for name, expected in misfits(vars(part), type(part)):
            raise TypeError(f"{name} is {vars(part)[name]!r:.40}, not {expected}")
    for name in ("test_accuracy", "validation_accuracy"):
        value = getattr(record, name)
        if value is not None and not 0.0 <= value <= 1.0:
            raise ValueError(f"{name} is {value}, not in [0, 1]")
    if record.status not in ("ok", "failed") or (record.status == "ok" and record.test_accuracy is None):
        raise ValueError(f"status is {record.status!r} and test_accuracy {record.test_accuracy}")


def _float(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refused(text)


def _int(text: str) -> int:
    return int(text) if len(text) < 40 else int(_refused(text))  # longer ones break arithmetic with floats


def _refused(constant: str) -> float:
    raise ValueError(f"{constant:.20} is no number that a run gives")
