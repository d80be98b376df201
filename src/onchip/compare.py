"""A grid of runs, every rule under every seed, into a folder of records that can be taken up again."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

from onchip import registry
from onchip.data import Dataset
from onchip.errors import DataError, DivergedError, RequestError, UnsupportedError
from onchip.files import write_whole
from onchip.records import Record, append, read
from onchip.run import build, describe, own_randomness
from onchip.settings import RULES, Request, RunSpec
from onchip.train import Watcher, train

__all__ = ["Folder", "check", "compare", "next_folder", "slug", "trainable"]

REQUEST, RECORDS, WEIGHTS, CHECKPOINTS = "run.json", "records.jsonl", "weights", "checkpoints"


class Folder:
    """Where a comparison keeps its request, records, checkpoints and what is drawn from them.

    Args:
        path: the folder; made when the comparison begins.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records = path / RECORDS

    def request(self) -> Request | None:
        """The request that the folder was made for; None if it holds none.

        Raises:
            DataError: its `run.json` is damaged.
        """
        try:
            text = (self.path / REQUEST).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RequestError(f"{self.path} cannot be read: {error.strerror}; choose another folder") from error
        try:
            return Request.from_dict(json.loads(text))
        except (ValueError, AttributeError) as error:
            raise DataError(f"{self.path / REQUEST} is damaged: {error}; begin again with --force") from error

    def open(self, request: Request, *, resume: bool = False, force: bool = False) -> None:
        """Make the folder ready for a request.

        Args:
            request: what is about to run.
            resume: go on with what the folder holds, which must be the same request.
            force: delete what an earlier comparison left in it, and nothing else.

        Raises:
            RequestError: it holds another run, and neither `resume` nor `force` allows for that; or it
                cannot be written.
        """
        earlier = None if force else self.request()
        if resume:
            if earlier is None:
                raise RequestError(f"{self.path} holds no run to resume; leave out --resume to begin one")
            _refuse_differences(self.path, earlier, request)
            return
        try:
            if force:
                self._clear()
            elif any(file.exists() for file in self._own_files()):
                raise RequestError(
                    f"{self.path} already holds a run; choose another --out, or --resume it, or --force to replace it"
                )
            self.path.mkdir(parents=True, exist_ok=True)
            write_whole(self.path / REQUEST, json.dumps(request.to_dict(), indent=2) + "\n")
        except OSError as error:
            raise RequestError(f"{self.path} cannot be written: {error.strerror}; choose another --out") from error

    def checkpoint(self, spec: RunSpec) -> Path:
        """The file that the run's checkpoints go to."""
        return self._file(CHECKPOINTS, spec)

    def weights(self, spec: RunSpec) -> Path:
        """The file that the run's final weights go to."""
        return self._file(WEIGHTS, spec)

    def forget_checkpoint(self, spec: RunSpec) -> None:
        """Delete the run's checkpoint, and the checkpoints' folder if it is empty."""
        self.checkpoint(spec).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            (self.path / CHECKPOINTS).rmdir()

    def _file(self, kind: str, spec: RunSpec) -> Path:
        (self.path / kind).mkdir(exist_ok=True)
        return self.path / kind / f"{slug(spec.rule)}-seed{spec.seed}.safetensors"

    def _own_files(self) -> list[Path]:
        """Everything that a comparison may have left here."""
        named = [REQUEST, RECORDS, "table.md", "report.html", "figure.svg", "figure.png"]
        tensors = [
            *self.path.glob(f"{CHECKPOINTS}/*.safetensors"),
            *self.path.glob(f"{WEIGHTS}/*.safetensors"),
        ]
        return [*(self.path / name for name in named), *tensors]

    def _clear(self) -> None:
        for file in self._own_files():
            file.unlink(missing_ok=True)
        for kind in (CHECKPOINTS, WEIGHTS):
            with contextlib.suppress(OSError):  # absent, or holds something that is not ours
                (self.path / kind).rmdir()


def slug(text: str) -> str:
    """A text as part of a file's name.

    Example:
        >>> slug("fbp:period=100;transport=top:0.1")
        'fbp_period=100_transport=top_0.1'
    """
    return re.sub(r"[^A-Za-z0-9.=-]+", "_", text).strip("_.")


def next_folder(parent: Path, name: str) -> Path:
    """The first of `name-1`, `name-2`, ... that does not exist."""
    numbers = (number for number in range(1, 10**9) if not (parent / f"{name}-{number}").exists())
    return parent / f"{name}-{next(numbers)}"


def trainable(spec: RunSpec, data: Dataset) -> tuple[list[str], list[str]]:
    """The usual rules that can train the network which the settings ask for; and why each of the others cannot.

    Raises:
        RequestError: the settings are wrong for any rule.
    """
    fitting, reasons = [], []
    for name in RULES:
        try:
            check(Request(spec, (name,), (spec.seed,)), data)
            fitting.append(name)
        except UnsupportedError as error:
            reasons.append(str(error))
    return fitting, reasons


def check(request: Request, data: Dataset) -> None:
    """Build every rule on the network once, so that a wrong request is known before anything trains.

    Raises:
        RequestError: a setting, or two rules that are the same under different names.
        UnsupportedError: a rule that cannot train this network.
    """
    seen: dict[str, str] = {}
    for spec in request.runs()[: len(request.rules)]:
        asked = registry.rule(spec.rule)
        key = json.dumps([asked.name, asked.options], sort_keys=True)
        if key in seen:
            raise RequestError(f"rules got {seen[key]!r} and {spec.rule!r}, which are the same; name it once")
        seen[key] = spec.rule
        with own_randomness(spec):
            build(spec, data).rule.detach()


def compare(
    request: Request,
    data: Dataset,
    path: Path,
    *,
    resume: bool = False,
    force: bool = False,
    keep_weights: bool = False,
    watch: Watcher | None = None,
) -> Iterator[Record]:
    """Train every run of a request, one after the other, into a folder of records.

    The request is checked, and the folder made, before this returns; runs train as the records are asked for.

    Args:
        request: rules, seeds and what the runs share.
        data: the data set that it names.
        path: the folder.
        resume: take over the records that it holds, and go on with a run that was cut short.
        force: delete what an earlier comparison left there.
        keep_weights: store the final weights of each run.
        watch: told of each run's progress.

    Returns:
        The record of each run, when it has been stored; first those that the folder held. A run that
        diverged, or that torch gave up (too little memory), has a record too, with status `failed`.

    Raises:
        RequestError: the request is wrong, or the folder holds another run.
        UnsupportedError: a rule that cannot train this network.
    """
    check(request, data)
    folder = Folder(path)
    folder.open(request, resume=resume, force=force)
    return _records(request, data.to(request.base.device), folder, keep_weights, watch)


def _records(
    request: Request, data: Dataset, folder: Folder, keep_weights: bool, watch: Watcher | None
) -> Iterator[Record]:
    earlier = read(folder.records)
    yield from earlier
    finished = {(record.label, record.seed) for record in earlier}
    for spec in request.runs():
        if (registry.rule(spec.rule).label, spec.seed) not in finished:
            record = _run(spec, data, folder, keep_weights, watch)
            append(folder.records, record)
            folder.forget_checkpoint(spec)
            yield record


def _run(spec: RunSpec, data: Dataset, folder: Folder, keep_weights: bool, watch: Watcher | None) -> Record:
    """Train one run, or record why it failed."""
    begin = time.perf_counter()
    weights = folder.weights(spec) if keep_weights else None
    try:
        return train(spec, data, save_to=folder.checkpoint(spec), resume=True, weights=weights, watch=watch)
    except DivergedError as error:
        reason = str(error)
    except RuntimeError as error:  # torch's own, such as too little memory; the other runs may still do
        reason = f"{type(error).__name__}: {error}"
    return dataclasses.replace(describe(spec, data), error=reason, seconds=time.perf_counter() - begin)


def _refuse_differences(path: Path, earlier: Request, request: Request) -> None:
    before, now = earlier.to_dict(), request.to_dict()
    different = [f"{name} was {before[name]!r}, now {now[name]!r}" for name in before if before[name] != now[name]]
    if different:
        raise RequestError(
            f"{path} was made for another request: {'; '.join(different)}. "
            "Leave these out to resume it, or choose another --out"
        )
