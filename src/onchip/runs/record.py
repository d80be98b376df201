"""One line of JSON a run: what was asked, what came out, and on what it ran."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from onchip._files import read_regular, write_whole
from onchip._types import converted, decoded
from onchip.errors import DataError
from onchip.runs.grammar import Scalar
from onchip.runs.old_records import modernized
from onchip.runs.provenance import Stretch
from onchip.runs.seal import sealed, unsealed

FORMAT = 2

if TYPE_CHECKING:
    Plain = Any  # whoever looks up a setting or an option is sure of its type
else:
    Plain = Scalar

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Amount = Annotated[float, Meta(ge=0.0, le=1e300)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
"""Ranges that hold when a record is read; 1e300 leaves room for sums."""


@dataclass(frozen=True)
class Epoch:
    """One pass over the training samples.

    Args:
        epoch: its number, from 1.
        train_loss: mean loss over its samples, as met while training.
        validation_accuracy: in [0, 1]; None without validation samples.
        seconds: spent training, validation apart.
    """

    epoch: Count
    train_loss: float
    validation_accuracy: Share | None
    seconds: Amount


@dataclass(frozen=True)
class Probe:
    """What was seen when training stopped for a moment to look; see `onchip.diagnostics.probes`.

    Args:
        step: training steps before it.
        layers: layer's name -> quantity's name -> value; None where the quantity has no value.
    """

    step: Count
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
        shape: features at one time step; (C, H, W) of images and recordings.
        classes: number of classes.
        train_size: samples trained on, validation apart.
        validation_size: samples held out from training.
        test_size: samples of the test set.
        network: the network's name.
        parameters: trained numbers in it.
        neuron: the neuron, with the options given.
        encoder: the encoder, with the options given.
        steps: time steps T per sample, of sequences those of the longest to train on; None for spike times.
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
        chip: the chip whose bits the synapses had, or on which the rule was judged: its name, the SHA-256 of its
            profile, whether the run had its `bits`, and the verdict with its clauses; empty without a chip.
        claims: names of the claims about locality that the rule stated on this network, see `onchip.certificates`;
            None in records that are older than this field.
        started: date and time, UTC, ISO 8601.
        provenance: the code, kernels and threads that trained it; more than one entry if it was resumed under others.
    """

    label: str
    rule: str
    options: dict[str, Plain]
    seed: Count
    data: str
    shape: tuple[Count, ...]
    classes: Count
    train_size: Count
    validation_size: Count
    test_size: Count
    network: str
    parameters: Count
    neuron: str
    encoder: str
    steps: Count | None
    epochs: Count
    settings: dict[str, Plain]
    versions: dict[str, str]
    device: str
    device_name: str
    threads: Count
    started: str
    chip: dict[str, Plain] = field(default_factory=dict)
    claims: tuple[str, ...] | None = None
    status: Literal["ok", "failed"] = "failed"
    error: str | None = None
    test_accuracy: Share | None = None
    validation_accuracy: Share | None = None
    selected_epoch: Count | None = None
    history: tuple[Epoch, ...] = ()
    probes: tuple[Probe, ...] = ()
    ledger: dict[str, Count | Amount] = field(default_factory=dict)
    seconds: Amount = 0.0
    train_seconds: Amount = 0.0
    samples_per_second: Amount | None = None
    provenance: tuple[Stretch, ...] = ()
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.status == "ok" and self.test_accuracy is None:
            raise ValueError("status is 'ok', but test_accuracy is None")

    @property
    def title(self) -> str:
        """The label; in a comparison on a chip, also whether the run had its bits."""
        beside = "verdict" in self.chip and self.chip.get("bits")
        return f"{self.label}, bits of {self.chip.get('name')}" if beside else self.label

    def to_json(self) -> str:
        """The record and the digest of its values as one line of JSON, without the line's end."""
        return json.dumps(sealed(dataclasses.asdict(self)), allow_nan=False, ensure_ascii=False)

    @classmethod
    def from_json(cls, line: bytes | str) -> Record:
        """The record that `to_json` wrote; earlier ones have no digest.

        Raises:
            DataError: The line is no record, one of another format, or was changed after it was written.
        """
        try:
            values = unsealed(decoded(line, dict[str, Any]))
            if values.get("format") == 1:
                values = modernized(values)
            if values.get("format") != FORMAT:
                raise ValueError(f"its format is {values.get('format')!r}; this version reads {FORMAT}")
            if unknown := values.keys() - cls.__dataclass_fields__.keys():
                raise ValueError(f"it has {', '.join(sorted(unknown))}, which this version does not read")
            record: Record = converted(values, cls)
        except (ValueError, RecursionError) as error:
            raise DataError(f"got {line[:80]!r}; expected a record as one line of JSON ({error!s:.200})") from error
        return record


def append(path: Path, record: Record) -> None:
    """Add a record to a file, which is whole at any moment; the file may not exist yet."""
    earlier = read_regular(path) if path.exists() else b""
    write_whole(path, earlier + record.to_json().encode() + b"\n")


def write(path: Path, records: Iterable[Record]) -> None:
    """Write a file of records, which is whole at any moment."""
    write_whole(path, "".join(f"{record.to_json()}\n" for record in records))


def read(path: Path) -> list[Record]:
    """The records of a file, in the order in which the runs finished; none if there is no file.

    Raises:
        DataError: a line is no record; the message names it.
    """
    if not path.exists():
        return []
    try:
        records, damaged = read_sound(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    if damaged:
        raise DataError(f"{path.parent / damaged[0]}. Delete this line, and its run is trained again with --resume")
    return records


def read_sound(path: Path) -> tuple[list[Record], list[str]]:
    """The records of a file as far as they are sound, and a message for each line that is no record.

    Raises:
        OSError: the file cannot be read.
    """
    records, damaged = [], []
    for number, line in enumerate(read_regular(path).split(b"\n"), start=1):
        try:
            if line.strip():
                records.append(Record.from_json(line))
        except DataError as error:
            damaged.append(f"{path.name}, line {number}: {error}")
    return records, damaged
