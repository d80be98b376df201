"""Where the results of experiments are stored, and which runs are still missing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from onchip.data import Dataset
from onchip.runs.config import RunConfig
from onchip.runs.record import Record, append, read
from onchip.training.builder import load_data
from onchip.training.loop import train
from onchip.training.resolved import Given

__all__ = ["FOLDER", "accuracy", "append_lines", "difference", "read_lines", "same_settings", "train_missing"]

FOLDER = Path(__file__).resolve().parent / "records"


def read_lines(path: Path) -> list[dict[str, Any]]:
    """All entries of a file with one JSON object per line; none if there is no file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def append_lines(path: Path, entries: Iterable[dict[str, Any]]) -> None:
    """Appends entries to such a file and waits until they are on the disk."""
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
        file.flush()
        os.fsync(file.fileno())


def accuracy(record: Record) -> float:
    """Test accuracy in percent."""
    assert record.test_accuracy is not None, "a run that succeeded has one"
    return 100.0 * record.test_accuracy


def difference(record: Record, reference: Record) -> float:
    """How many percentage points of test accuracy a run is above another one."""
    assert record.test_accuracy is not None
    assert reference.test_accuracy is not None
    return 100.0 * (record.test_accuracy - reference.test_accuracy)


def same_settings(config: RunConfig, settings: dict[str, Any]) -> bool:
    """Whether a record was made with these settings; a setting that is younger than the record had its default."""
    defaults = {field.name: field.default for field in fields(RunConfig)}
    return {**defaults, **settings} == asdict(config)


def train_missing(
    path: Path,
    configs: Iterable[RunConfig],
    data: Dataset | None = None,
    given: Callable[[RunConfig], Given] = lambda _: Given(),
) -> None:
    """Trains every run that the file has no record of, and appends its record.

    Args:
        path: The file of records.
        configs: The runs, in the order in which they are trained.
        data: The data set of all of them; None loads the one that each run names.
        given: Objects that a run has in place of names.
    """
    path.parent.mkdir(exist_ok=True)
    done = [record.settings for record in read(path)]
    for config in configs:
        if any(same_settings(config, settings) for settings in done):
            continue
        record = train(config, data or load_data(config), given=given(config))
        append(path, record)
        done.append(record.settings)
        measured = record.test_accuracy if record.validation_accuracy is None else record.validation_accuracy
        print(
            f"{record.data}, {record.network}, {record.label}, seed {record.seed}: {measured or 0.0:.4f} "
            f"in {record.seconds:.0f} s",
            flush=True,
        )
