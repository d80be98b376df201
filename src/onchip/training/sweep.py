"""A grid of runs, every rule under every seed, into a folder of records that can be taken up again."""

from __future__ import annotations

import dataclasses
import functools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from onchip.data import Dataset
from onchip.errors import DivergedError, MemoryLimitError, RequestError, UnsupportedError
from onchip.runs.config import RULES, STREAM_RULES, RunConfig, SweepConfig
from onchip.runs.directory import RunDirectory
from onchip.runs.record import Record, append, read
from onchip.training import registry
from onchip.training.builder import build, describe, own_randomness
from onchip.training.executor import in_processes
from onchip.training.loop import train
from onchip.training.progress import ProgressListener

__all__ = ["check", "compare", "trainable"]


def trainable(spec: RunConfig, data: Dataset) -> tuple[list[str], list[str]]:
    """The usual rules that can train the network which the settings ask for; and why each of the others cannot.

    Raises:
        RequestError: the settings are wrong for any rule.
    """
    fitting, reasons = [], []
    _, kind = registry.neuron(spec.neuron)
    for name in STREAM_RULES if kind == "streams" else RULES:
        try:
            check(SweepConfig(spec, (name,), (spec.seed,)), data)
            fitting.append(name)
        except UnsupportedError as error:
            reasons.append(str(error))
    return fitting, reasons


def check(request: SweepConfig, data: Dataset) -> None:
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
    request: SweepConfig,
    data: Dataset,
    path: Path,
    *,
    resume: bool = False,
    force: bool = False,
    keep_weights: bool = False,
    jobs: int = 1,
    watch: Callable[[], ProgressListener] | None = None,
) -> Iterator[Record]:
    """Train every run of a request into a folder of records.

    The request is checked, and the folder made, before this returns; runs train as the records are asked for.

    Args:
        request: rules, seeds and what the runs share.
        data: the data set that it names.
        path: the folder.
        resume: take over the records that it holds, and go on with a run that was cut short.
        force: delete what an earlier comparison left there.
        keep_weights: store the final weights of each run.
        jobs: runs at a time, each in a process of its own with its share of the threads; 1 trains in this one.
        watch: makes what is told of a run's progress, for each run.

    Returns:
        The record of each run, when it has been stored; first those that the folder held. A run that
        diverged, or that torch gave up (too little memory), has a record too, with status `failed`.

    Raises:
        RequestError: the request is wrong, or the folder holds another run.
        UnsupportedError: a rule that cannot train this network.
        ChildProcessError: a run's process was killed; when all others are done.
    """
    if jobs < 1:
        raise RequestError(f"jobs got {jobs}; expected at least 1 run at a time")
    check(request, data)
    folder = RunDirectory(path)
    folder.open(request, resume=resume, force=force)
    return _records(request, data, folder, keep_weights, jobs, watch or ProgressListener)


def _records(
    request: SweepConfig,
    data: Dataset,
    folder: RunDirectory,
    keep_weights: bool,
    jobs: int,
    watch: Callable[[], ProgressListener],
) -> Iterator[Record]:
    earlier = read(folder.records)
    yield from earlier
    finished = {(record.label, record.seed) for record in earlier}
    waiting = [spec for spec in request.runs() if (registry.rule(spec.rule).label, spec.seed) not in finished]
    work = functools.partial(_run, data=data, folder=folder, keep_weights=keep_weights)
    coming = (
        ((spec, work(spec, watch())) for spec in waiting) if jobs == 1 else in_processes(work, waiting, jobs, watch)
    )
    for spec, record in coming:
        append(folder.records, record)
        folder.checkpoint(spec).unlink(missing_ok=True)
        yield record
    folder.forget_checkpoints()


def _run(
    spec: RunConfig, watch: ProgressListener, *, data: Dataset, folder: RunDirectory, keep_weights: bool
) -> Record:
    """Train one run, or record why it failed."""
    begin = time.perf_counter()
    weights = folder.weights(spec) if keep_weights else None
    try:
        return train(spec, data, save_to=folder.checkpoint(spec), resume=True, weights=weights, watch=watch)
    except (DivergedError, MemoryLimitError) as error:
        reason = str(error)
    except RuntimeError as error:  # torch's own, such as too little memory; the other runs may still do
        reason = f"{type(error).__name__}: {error}"
    return dataclasses.replace(describe(spec, data), error=reason, seconds=time.perf_counter() - begin)
