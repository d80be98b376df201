"""Where the results of experiments are stored, and which runs are still missing."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from onchip.data import Dataset
from onchip.runs.config import RunConfig
from onchip.runs.directory import slug
from onchip.runs.provenance import code
from onchip.runs.record import Epoch, Record, append, read
from onchip.training.builder import load_data
from onchip.training.loop import train
from onchip.training.objects import rule_given
from onchip.training.progress import ProgressListener
from onchip.training.resolved import Given

__all__ = [
    *("FOLDER", "accuracy", "append_lines", "checkpoint_of", "difference", "given_from", "read_lines"),
    *("same_settings", "train_missing"),
]

FOLDER = Path(__file__).resolve().parent / "records"


def read_lines(path: Path) -> list[dict[str, Any]]:
    """All entries of a file with one JSON object per line; none if there is no file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def append_lines(path: Path, entries: Iterable[dict[str, Any]]) -> None:
    """Appends entries to such a file, with the code that made them, and waits until they are on the disk."""
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(_stamped(entry), ensure_ascii=False) + "\n" for entry in entries)
        file.flush()
        os.fsync(file.fileno())


def _stamped(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry with the commit and whether the tree was clean, unless it holds the record of a run, which has them."""
    if "record" in entry or "code" in entry:
        return entry
    return {**entry, "code": asdict(code()), "written": datetime.now(timezone.utc).isoformat(timespec="seconds")}


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


def given_from(own: Mapping[str, Callable[..., Any]]) -> Callable[[RunConfig], Given]:
    """The rule of a run, where the package does not have it.

    Args:
        own: Functions from a network to a rule, by the names that settings have for them.
    """

    def given(config: RunConfig) -> Given:
        if config.rule not in own:
            return Given()
        _, part = rule_given(own[config.rule])
        assert part is not None, "it is an object"
        return Given(rule=replace(part, label=config.rule, own=False))

    return given


def checkpoint_of(config: RunConfig, folder: Path) -> Path:
    """The file in which a run is stored after each epoch; other settings have another one."""
    digest = hashlib.sha256(json.dumps(asdict(config), sort_keys=True).encode()).hexdigest()
    return folder / f"{slug(config.rule)}-seed{config.seed}-{digest[:12]}.safetensors"


class Epochs(ProgressListener):
    """Prints a line for each epoch of a run that takes long."""

    def run_begins(self, config: RunConfig) -> None:
        self._run = f"{config.rule}, seed {config.seed}, lr {config.lr:g} {config.lr_scaling}"

    def epoch_ended(self, epoch: Epoch) -> None:
        validated = "" if epoch.validation_accuracy is None else f", validation {epoch.validation_accuracy:.4f}"
        print(f"  {self._run}, epoch {epoch.epoch}: loss {epoch.train_loss:.3f}{validated}", flush=True)


def train_missing(
    path: Path,
    configs: Iterable[RunConfig],
    data: Dataset | None = None,
    given: Callable[[RunConfig], Given] = lambda _: Given(),
    checkpoints: Path | None = None,
) -> None:
    """Trains every run that the file has no record of, and appends its record.

    Args:
        path: The file of records.
        configs: The runs, in the order in which they are trained; the next one is asked for after the record before it
            is written, so that it may depend on that.
        data: The data set of all of them; None loads the one that each run names.
        given: Objects that a run has in place of names.
        checkpoints: Folder in which a run is stored after each epoch, to go on from there after an interruption; None
            stores nothing, and begins an interrupted run again. Each epoch then prints a line, too.
    """
    path.parent.mkdir(exist_ok=True)
    done = [record.settings for record in read(path)]
    for config in configs:
        if any(same_settings(config, settings) for settings in done):
            continue
        save_to = None
        if checkpoints is not None:
            checkpoints.mkdir(parents=True, exist_ok=True)
            save_to = checkpoint_of(config, checkpoints)
        loaded = data or load_data(config)
        watch = None if save_to is None else Epochs()
        record = train(config, loaded, given=given(config), save_to=save_to, resume=save_to is not None, watch=watch)
        append(path, record)
        if save_to is not None:
            save_to.unlink(missing_ok=True)
        done.append(record.settings)
        measured = record.test_accuracy if record.validation_accuracy is None else record.validation_accuracy
        print(
            f"{record.data}, {record.network}, {record.label}, seed {record.seed}: {measured or 0.0:.4f} "
            f"in {record.seconds:.0f} s",
            flush=True,
        )
