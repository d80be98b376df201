"""The directory of a sweep: its configuration, records, weights and checkpoints, from which it can be resumed."""

import contextlib
import re
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from onchip._files import read_regular, write_whole
from onchip.errors import DataError, RequestError
from onchip.runs.code import short
from onchip.runs.config import RunConfig
from onchip.runs.lock import DirectoryLock
from onchip.runs.model_file import NAME
from onchip.runs.model_file import WEIGHTS as MODEL_WEIGHTS
from onchip.runs.sweep_config import CHIP, SweepConfig

CONFIG, RECORDS, WEIGHTS, CHECKPOINTS = "run.json", "records.jsonl", "weights", "checkpoints"
CURVES, CURVE = "tensorboard", "events.out.tfevents.*"
MODEL = NAME, MODEL_WEIGHTS
SHARED = ".cluster"
REPORT = "table.md", "report.html", "figure.svg", "figure.png"


class RunDirectory:
    """The files of a sweep.

    Args:
        path: The directory; made when the sweep begins.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records = path / RECORDS

    def config(self) -> SweepConfig | None:
        """The sweep that the directory was made for; None if there is none.

        Raises:
            DataError: Its `run.json` is damaged.
        """
        try:
            text = read_regular(self.path / CONFIG)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RequestError(f"{self.path} cannot be read: {error.strerror}; choose another folder") from error
        try:
            return SweepConfig.from_json(text)
        except DataError as error:
            raise DataError(f"{self.path / CONFIG} is damaged: {error}; begin again with --force") from error

    def open(self, sweep: SweepConfig, *, resume: bool = False, force: bool = False) -> DirectoryLock:
        """Prepare the directory for a sweep, and lock it.

        Args:
            sweep: What is about to run.
            resume: Continue the sweep in the directory: the same one, or one with fewer rules or seeds.
            force: Delete what an earlier sweep left in the directory, and nothing else.

        Returns:
            The lock, which is released at the end of a `with` block, or when nothing refers to it any more.

        Raises:
            RequestError: The directory has another sweep, and neither `resume` nor `force` allows for that; or it
                is in use, or cannot be written.
        """
        if resume and self.config() is None:
            raise RequestError(f"{self.path} holds no run to resume; leave out --resume to begin one")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with contextlib.ExitStack() as stack:
                lock = stack.enter_context(DirectoryLock(self.path))
                self._prepare(sweep, resume=resume, force=force)
                stack.pop_all()
        except OSError as error:
            raise RequestError(f"{self.path} cannot be written: {error.strerror}; choose another --out") from error
        return lock

    def _prepare(self, sweep: SweepConfig, *, resume: bool, force: bool) -> None:
        self.remove_parts()
        earlier = self.config() if resume else None
        if earlier is not None:
            _refuse_differences(self.path, earlier, sweep)
        elif force:
            self._clear()
        elif self._own_files():
            raise RequestError(
                f"{self.path} already holds a run; choose another --out, or --resume it, or --force to replace it"
            )
        shutil.rmtree(self.path / SHARED, ignore_errors=True)  # workers that somebody left behind then end
        write_whole(self.path / CONFIG, sweep.to_json())

    def checkpoint(self, config: RunConfig) -> Path:
        """The checkpoint file of a run."""
        return self._file(CHECKPOINTS, config)

    def weights(self, config: RunConfig) -> Path:
        """The file of a run's final weights."""
        return self._file(WEIGHTS, config)

    def kept_weights(self, config: RunConfig) -> Path | None:
        """The file of a run's final weights, if they were kept."""
        path = self.path / WEIGHTS / _file_name(config)
        return path if path.exists() else None

    def curves(self, config: RunConfig) -> Path:
        """The folder of a run's curves, for other programs."""
        return self.path / CURVES / _stem(config)

    def shared(self) -> Path:
        """The folder through which workers on other machines get their work; its absolute path."""
        return self.path.absolute() / SHARED

    def withdraw(self) -> None:
        """Undo `open`, unless a run has left something since; to be called by who has the lock."""
        if self._own_files() == [self.path / CONFIG]:
            (self.path / CONFIG).unlink()
            self.remove_empty_checkpoints()

    def remove_checkpoint(self, config: RunConfig) -> None:
        """Delete the checkpoint of a run that has its record, if it has one."""
        with contextlib.suppress(OSError):  # a folder of this name
            self.checkpoint(config).unlink(missing_ok=True)

    def remove_parts(self) -> None:
        """Delete parts of files, which a process that was killed has left; to be called by who has the lock."""
        names = (
            *(f".{name}" for name in (CONFIG, RECORDS, *MODEL, *REPORT)),
            *(f"{kind}/.*" for kind in (CHECKPOINTS, WEIGHTS)),
        )
        for name in names:
            for part in self.path.glob(f"{name}.*.part"):
                part.unlink(missing_ok=True)

    def remove_empty_checkpoints(self) -> None:
        """Delete the folder of checkpoints if it is empty; to be called when no run is about to write one."""
        self._remove_if_empty(CHECKPOINTS)

    def _file(self, kind: str, config: RunConfig) -> Path:
        (self.path / kind).mkdir(exist_ok=True)
        return self.path / kind / _file_name(config)

    def _own_files(self) -> list[Path]:
        """Every file that a sweep has left here."""
        tensors = [file for kind in (CHECKPOINTS, WEIGHTS) for file in self.path.glob(f"{kind}/*.safetensors")]
        files = [self.path / name for name in (CONFIG, RECORDS, *MODEL, *REPORT)]
        return [*(file for file in files if file.exists()), *tensors, *self.path.glob(f"{CURVES}/*/{CURVE}")]

    def _clear(self) -> None:
        for file in self._own_files():
            file.unlink(missing_ok=True)
        self._remove_if_empty(CHECKPOINTS)
        self._remove_if_empty(WEIGHTS)
        for folder in (*self.path.glob(f"{CURVES}/*"), self.path / CURVES):
            self._remove_if_empty(folder.relative_to(self.path))

    def _remove_if_empty(self, folder: str | Path) -> None:
        with contextlib.suppress(OSError):  # absent, or with files that are not ours
            (self.path / folder).rmdir()


def slug(text: str) -> str:
    """A text as part of a file's name.

    Example:
        >>> slug("fbp:period=100;transport=top:0.1")
        'fbp_period=100_transport=top_0.1'
    """
    return re.sub(r"[^A-Za-z0-9.=-]+", "_", text).strip("_.")


def feedback_file(weights: Path) -> Path:
    """The file of the feedback that a run trained with, beside that of its final weights."""
    return weights.with_suffix(".feedback.safetensors")


def next_directory(parent: Path, name: str) -> Path:
    """The first of `name-1`, `name-2`, ... that does not exist."""
    numbers = (number for number in range(1, 10**9) if not (parent / f"{name}-{number}").exists())
    return parent / f"{name}-{next(numbers)}"


def _file_name(config: RunConfig) -> str:
    return f"{_stem(config)}.safetensors"


def _stem(config: RunConfig) -> str:
    """The name of a run among those of its directory."""
    on_chip = f"-{slug(config.synapses)}" if config.synapses and config.synapses.startswith(CHIP) else ""
    return f"{slug(config.rule)}{on_chip}-seed{config.seed}"


def differences(earlier: SweepConfig, sweep: SweepConfig, *, free: Collection[str] = ()) -> list[str]:
    """The settings in which two sweeps differ, in words.

    Args:
        earlier: One sweep.
        sweep: The other one.
        free: Names of settings, as in `SweepConfig.to_dict`, that may differ.
    """
    absent: dict[str, Any] = {"chip": None, "chip_digest": None, "references": [], "shard": None}
    before, now = absent | earlier.to_dict(), absent | sweep.to_dict()
    names = [name for name in before if name not in free and before[name] != now[name]]
    return [_difference(name, before[name], now[name]) for name in names]


def _refuse_differences(path: Path, earlier: SweepConfig, sweep: SweepConfig) -> None:
    """Only rules, seeds and weights to keep may be added: the records are then still valid."""
    before, now, free = earlier.to_dict(), sweep.to_dict(), ["keep_weights"]  # which changes no record
    if before["threads"] is None:  # an earlier version did not store it
        free.append("threads")
    if earlier.shard is None:  # another part may have been given the runs of a grid that grows
        free += [
            name for name in ("rules", "seeds", "references") if set(before.get(name, ())) <= set(now.get(name, ()))
        ]
    if different := differences(earlier, sweep, free=free):
        raise RequestError(
            f"{path} was made for another request: {'; '.join(different)}. "
            "Leave these out to resume it, or choose another --out"
        )


def _difference(name: str, before: object, now: object) -> str:
    if isinstance(before, str) and isinstance(now, str) and short(before) == short(now):
        digests = f"its SHA-256 was {before[-64:]:.12}..., now {now[-64:]:.12}..."
        return f"{name} {short(now)} has changed since ({digests})"
    return f"{name} was {before!r}, now {now!r}"
