"""Runs that may be compared: equal in all but rule and seed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from onchip.report.summary import title
from onchip.runs.config import RunConfig
from onchip.runs.record import Record

__all__ = ["Group", "grouped", "once"]

FREE = ("rule", "seed", "probe")
"""Settings that may differ within a group: what is compared, its repetitions, and what changes no result."""

SETTINGS = {name: value for name, value in dataclasses.asdict(RunConfig()).items() if name not in FREE}
"""Settings that an older record does not hold were what they are by default today."""


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
    """The records without those of a run that is there already, and a message for each of the latter."""
    met: dict[tuple[str, str, str, int], Record] = {}
    messages = []
    for record in records:
        key = (_kind(record), record.label, json.dumps(record.options, sort_keys=True), record.seed)
        if key in met and met[key] != record:
            messages.append(f"{record.label}, seed {record.seed} on {record.data} is there twice; the first counts")
        met.setdefault(key, record)
    return list(met.values()), messages


def _settings(record: Record) -> dict[str, Any]:
    return {**SETTINGS, **{name: value for name, value in record.settings.items() if name not in FREE}}


def _kind(record: Record) -> str:
    """All that runs must share to be compared, as text."""
    facts = [
        record.data,
        record.shape,
        record.classes,
        record.train_size,
        record.validation_size,
        record.test_size,
        record.network,
        record.parameters,
        record.neuron,
        record.encoder,
        record.steps,
        record.epochs,
        _settings(record),
    ]
    return json.dumps(facts, sort_keys=True)
