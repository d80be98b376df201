"""Records from files, and runs that may be compared: equal in all but rule and seed."""

import dataclasses
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onchip.errors import RequestError
from onchip.report.summary import title
from onchip.runs.config import RunConfig
from onchip.runs.record import Record, read_sound

NAME = "records.jsonl"

FREE = ("rule", "seed", "probe", "threads")
"""Settings that may differ within a group: what is compared, its repetitions, and what changes rounding at most."""

SETTINGS = {name: value for name, value in dataclasses.asdict(RunConfig()).items() if name not in FREE}
"""Settings that an older record does not hold were what they are by default today."""


def gather(paths: Sequence[Path]) -> tuple[list[Record], list[str]]:
    """All runs that files of records hold.

    Args:
        paths: such files, or folders: their `records.jsonl`, and those of all folders within.

    Returns:
        The records, each run once, and what was left out: which file and line, and why.

    Raises:
        RequestError: a path does not exist, a folder holds no records, or nothing could be read.
    """
    records, left_out = [], []
    for file in dict.fromkeys(file for path in paths for file in _files(path)):
        try:
            sound, damaged = read_sound(file)
        except OSError as error:
            left_out.append(f"{file}: cannot be read: {error.strerror}")
            continue
        records += sound
        left_out += [f"{file.parent / message}" for message in damaged]
        if not sound and not damaged:
            left_out.append(f"{file}: empty, no run has finished")
    records, duplicates = once(records)
    if not records:
        raise RequestError("; ".join(["no record could be read", *left_out[:5]]))
    return records, left_out + duplicates


def _files(path: Path) -> Iterable[Path]:
    if not os.path.exists(path):  # no error either for a name that no file can have
        raise RequestError(f"{path} does not exist; expected a folder of runs, or a file of records")
    if not path.is_dir():
        return [path]
    files = sorted(path.rglob(NAME))
    if not files:
        raise RequestError(f"{path} holds no {NAME}; expected a folder that `onchip compare` or `train` wrote")
    return files


@dataclass(frozen=True)
class Group:
    """Runs of one kind.

    Args:
        title: what they have in common, and what sets them apart from other groups of that title.
        settings: all settings that they share.
        records: the runs; at least one.
    """

    title: str
    settings: dict[str, Any]
    records: tuple[Record, ...]

    @property
    def good(self) -> tuple[Record, ...]:
        """The runs that succeeded."""
        return tuple(record for record in self.records if record.status == "ok")


def grouped(records: Sequence[Record]) -> list[Group]:
    """Groups in the order of their first runs; runs on other data, networks or settings are never in one group."""
    kinds: dict[str, list[Record]] = {}
    for record in records:
        kinds.setdefault(_kind(record), []).append(record)
    settings = [_settings(runs[0]) for runs in kinds.values()]
    titles = [title(runs) for runs in kinds.values()]
    groups = []
    for own, name, runs in zip(settings, titles, kinds.values(), strict=True):
        others = [other for other, same in zip(settings, titles, strict=True) if same == name]
        apart = [key for key in sorted(own) if any(other.get(key) != own[key] for other in others)]
        suffix = "; " + ", ".join(f"{key} {own[key]}" for key in apart) if apart else ""
        groups.append(Group(name + suffix, own, tuple(runs)))
    return groups


def once(records: Sequence[Record]) -> tuple[list[Record], list[str]]:
    """One record per run, one that succeeded if there is any, and a message for each other record that is left out."""
    first: dict[tuple[str, str, str, int], Record] = {}
    messages = []
    for record in records:
        key = (_kind(record), record.title, json.dumps(record.options, sort_keys=True), record.seed)
        if key in first and first[key].status == "failed" and record.status == "ok":
            first[key] = record  # it was tried again
        elif key in first and first[key] != record:
            messages.append(f"{record.label}, seed {record.seed} on {record.data} is there twice; the first counts")
        first.setdefault(key, record)
    return list(first.values()), messages


def _settings(record: Record) -> dict[str, Any]:
    settings = {**SETTINGS, **{name: value for name, value in record.settings.items() if name not in FREE}}
    if "verdict" in record.chip:  # with the bits of the chip, and without
        settings |= {"synapses": None, "chip": record.chip.get("name"), "profile": record.chip.get("digest")}
    return settings


def _kind(record: Record) -> str:
    """All that runs must share to be compared, as text."""
    data = record.data, record.shape, record.classes, record.train_size, record.validation_size, record.test_size
    model = record.network, record.parameters, record.neuron, record.encoder, record.steps, record.epochs
    return json.dumps([*data, *model, _settings(record)], sort_keys=True)
