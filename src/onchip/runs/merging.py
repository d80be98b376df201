"""From the folders of the parts of a sweep to one folder of the whole."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onchip.errors import DataError, RequestError
from onchip.runs.config import RunConfig
from onchip.runs.directory import CONFIG, RECORDS, WEIGHTS, RunDirectory, differences
from onchip.runs.record import Record, read_sound, write
from onchip.runs.sweep_config import SweepConfig

MACHINE = (
    *("seconds", "train_seconds", "samples_per_second", "started", "versions", "device_name", "threads", "provenance"),
)
"""What two records of one run need not share."""

Key = tuple[Any, Any, Any]


@dataclass(frozen=True)
class Merged:
    """The whole of the parts.

    Args:
        sweep: The whole sweep.
        records: One record per run, in the order of the runs.
        notes: What the reader should know: damaged records, and settings that differ without harm.
        missing: The runs that have no record.
        sources: The folders.
    """

    sweep: SweepConfig
    records: tuple[Record, ...]
    notes: tuple[str, ...]
    missing: tuple[RunConfig, ...]
    sources: tuple[Path, ...]

    def write(self, out: Path) -> None:
        """Make a run folder of the whole, with the weights, which `compare --resume` continues.

        Raises:
            RequestError: The folder has another sweep, is in use, or cannot be written.
        """
        directory = RunDirectory(out)
        with directory.open(self.sweep, resume=directory.config() is not None):
            write(directory.records, self.records)
            for source in self.sources:
                for file in sorted((source / WEIGHTS).glob("*.safetensors")) if source != out.resolve() else ():
                    (out / WEIGHTS).mkdir(exist_ok=True)
                    shutil.copyfile(file, out / WEIGHTS / file.name)


def parts(paths: Iterable[Path], out: Path) -> tuple[list[Path], list[str]]:
    """The folders below some paths that are parts of a sweep; none if others are there, too, and a note on each then.

    Args:
        paths: Folders, or files of records.
        out: The folder of the whole, which does not count.
    """
    found: dict[Path, bool] = {}
    for path in paths:
        files = [*path.rglob(CONFIG), *path.rglob(RECORDS)] if path.is_dir() else [path]
        for folder in sorted({file.parent.resolve() for file in files}):
            found[folder] = _is_part(folder)
    found.pop(out.resolve(), None)
    folders = [folder for folder, is_part in found.items() if is_part]
    if len(folders) == len(found):
        return folders, []
    return [], [f"{folder}: a part of a sweep; to merge parts, name no other folders" for folder in folders]


def merge(folders: Sequence[Path], out: Path) -> Merged:
    """Merge the parts of a sweep, and what `out` has of it already.

    Raises:
        RequestError: The parts are of different sweeps, or have different results of one run.
    """
    sources = [*folders, *([out.resolve()] if RunDirectory(out).config() is not None else [])]
    sweeps = [_sweep(folder) for folder in sources]
    notes = []
    for folder, sweep in zip(sources, sweeps, strict=True):
        if different := differences(sweeps[0], sweep, free=("shard", "threads")):
            raise RequestError(
                f"{sources[0]} and {folder} are not of one sweep: {'; '.join(different)}. Name the parts of one, and "
                "an --out without another"
            )
    threads = {sweep.base.threads for sweep in sweeps}
    if len(threads) > 1:
        notes.append(f"parts ran with {' and '.join(map(str, sorted(threads, key=str)))} threads: rounding may differ")
    whole = dataclasses.replace(sweeps[0], shard=None)
    found: dict[Key, tuple[Record, Path]] = {}
    for folder in sources:
        records, damaged = read_sound(folder / RECORDS) if (folder / RECORDS).exists() else ([], [])
        notes += [f"{folder.parent / message}" for message in damaged]
        for record in records:
            key = record.settings.get("rule"), record.settings.get("seed"), record.settings.get("synapses")
            if key in found and "failed" not in (record.status, found[key][0].status):
                _refuse_contradiction(*found[key], record, folder)
            if key not in found or found[key][0].status == "failed":
                found[key] = record, folder
    grid = {(run.rule, run.seed, run.synapses): run for run in whole.grid()}
    if strange := found.keys() - grid.keys():
        record, folder = found[min(strange, key=str)]
        raise RequestError(f"{folder} has {record.title}, seed {record.seed}, which is no run of its sweep")
    ordered = tuple(found[key][0] for key in grid if key in found)
    missing = tuple(run for key, run in grid.items() if key not in found)
    return Merged(whole, ordered, tuple(notes), missing, tuple(sources))


def _is_part(folder: Path) -> bool:
    try:
        sweep = RunDirectory(folder).config()
    except (DataError, RequestError):
        return False
    return sweep is not None and sweep.shard is not None


def _sweep(folder: Path) -> SweepConfig:
    sweep = RunDirectory(folder).config()
    if sweep is None:
        raise RequestError(f"{folder} has lost its {CONFIG}")
    return sweep


def _refuse_contradiction(one: Record, where: Path, other: Record, there: Path) -> None:
    """Raises RequestError unless two records of a run have the same result."""
    first, second = _result(one), _result(other)
    different = [name for name in first if first[name] != second[name]]
    if different:
        name = different[0]
        raise RequestError(
            f"{one.title}, seed {one.seed} is in {where} and in {there}, with other results: {name} is "
            f"{first[name]!s:.60} and {second[name]!s:.60}. Leave one of the folders out"
        )


def _result(record: Record) -> dict[str, Any]:
    values = {name: value for name, value in vars(record).items() if name not in MACHINE}
    values["history"] = [dataclasses.replace(epoch, seconds=0.0) for epoch in record.history]
    values["settings"] = {name: value for name, value in record.settings.items() if name != "threads"}
    return values
