"""A grid of runs, every rule with every seed, into a directory of records from which it can be resumed."""

import contextlib
import dataclasses
import functools
import json
import time
import warnings
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import torch

from onchip.data import Dataset
from onchip.errors import (
    CheckpointError,
    DataError,
    DivergedError,
    MemoryLimitError,
    OnchipError,
    RequestError,
    UnsupportedError,
)
from onchip.learning.ranks import ALONE, Ranks
from onchip.runs.config import RunConfig
from onchip.runs.directory import RunDirectory
from onchip.runs.record import Record, read, write
from onchip.runs.sweep_config import RULES, STREAM_RULES, SweepConfig
from onchip.training import on_chip, registry
from onchip.training.agreement import refuse_differences
from onchip.training.builder import build, describe
from onchip.training.clusters import Local, Workers
from onchip.training.executor import run_in_workers
from onchip.training.loop import train
from onchip.training.progress import Listeners, ProgressListener
from onchip.training.randomness import own_randomness
from onchip.training.resolved import Given, resolve
from onchip.training.tensorboard import TensorBoard, log_named


def trainable(config: RunConfig, data: Dataset, given: Given = Given()) -> tuple[list[str], list[str]]:
    """The default rules that can train the configured network; and for each of the others the reason why it cannot.

    Raises:
        RequestError: The settings are wrong for any rule.
    """
    fitting, reasons = [], []
    kind = resolve(config, data, given).kind
    for name in STREAM_RULES if kind.spike_errors else RULES:
        try:
            check(SweepConfig(config, (name,), (config.seed,)), data, given)
            fitting.append(name)
        except UnsupportedError as error:
            reasons.append(str(error))
    return fitting, reasons


def check(sweep: SweepConfig, data: Dataset, given: Given = Given()) -> None:
    """Build every rule on the network once, so that a wrong configuration is refused before anything trains.

    Raises:
        RequestError: A setting is wrong, or two rules are the same under different names.
        UnsupportedError: A rule cannot train this network.
    """
    seen: dict[str, str] = {}
    runs = {config.rule: config for config in reversed(sweep.grid())}  # those of the first seed
    for config in (runs[rule] for rule in sweep.rules):
        rule = given.rule or registry.part("rule", config.rule)
        key = json.dumps([rule.name, rule.options], sort_keys=True)
        if key in seen:
            raise RequestError(f"rules got {seen[key]!r} and {config.rule!r}, which are the same; name it once")
        seen[key] = config.rule
        with own_randomness(config):
            resolved = resolve(config, data, given)
            if not given.attached:
                build(resolved).rule.detach()


def compare(
    sweep: SweepConfig,
    data: Dataset,
    path: Path,
    *,
    given: Given = Given(),
    resume: bool = False,
    force: bool = False,
    jobs: int | None = None,
    workers: Workers | None = None,
    progress: Callable[[], ProgressListener] = ProgressListener,
    log: str | None = None,
    ranks: Ranks = ALONE,
) -> Generator[Record, None, None]:
    """Train every run of a sweep into a directory of records.

    The sweep is checked, and the directory made, before this returns; runs train while the records are iterated over.

    Args:
        sweep: The rules, the seeds and the settings that the runs share.
        data: The data set that it names.
        path: The run directory.
        given: Objects in place of names in the sweep.
        resume: Take over the records in the directory, continue a run that was interrupted, and try those again that
            failed. Unless the sweep names a number of threads, it is the one that the directory has.
        force: Delete what an earlier sweep left in the directory.
        jobs: The number of runs at a time without `workers`, each in a process of its own, among which the threads that
            torch uses here are divided; 1 or None trains in this process.
        workers: Where the runs train instead; connected before the directory is made, and closed at the end.
        progress: Makes the progress callbacks of a run.
        log: For which other program curves are written while runs train: "tensorboard"; None for none.
        ranks: The processes that train each run together, all of which call this; only the first one uses the path.

    Returns:
        The record of each run, once it is stored; first those that the directory has already. A run that diverged,
        or that torch stopped (too little memory), has a record, too, with status `failed`.

    Raises:
        RequestError: The sweep is wrong, or the directory has other runs, or is in use; or the workers are not there,
            or have other versions than this process.
        UnsupportedError: A rule cannot train this network.
        ChildProcessError: The processes of a run died again and again; raised when all others are finished.
        OSError: A file cannot be written, because the disk is full, for one; what was written before can be resumed.
    """
    if jobs is not None and jobs < 1:
        raise RequestError(f"jobs got {jobs}; expected at least 1 run at a time")
    if ranks.size > 1 and (workers is not None or (jobs or 1) > 1):
        raise RequestError(
            f"{ranks.size} processes train each run together; expected one run at a time. "
            "Use --jobs 1, and no --cluster"
        )
    if workers is None and jobs is not None and jobs > 1:
        workers = Local(jobs)
    with ranks.together():
        check(sweep, data, given)
        chips = on_chip.facts(sweep, data, given)
    refuse_differences(ranks, sweep, data)
    directory = RunDirectory(path)
    curves = None if log is None else log_named(log, directory.curves)
    if curves is not None and ranks.first:
        progress = _both(progress, curves)
    settled = ranks.at_first(directory.config) if resume and sweep.base.threads is None else None
    with contextlib.ExitStack() as stack:
        if workers is not None:
            stack.enter_context(workers)
        threads = settled.base.threads if settled else sweep.base.threads
        if threads is None:
            threads = torch.get_num_threads() if workers is None else workers.threads
        sweep = dataclasses.replace(sweep, base=dataclasses.replace(sweep.base, threads=threads))
        lock: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
        with ranks.together():
            if ranks.first:
                lock = directory.open(sweep, resume=resume, force=force)
        connected = stack.pop_all()

    def records() -> Generator[Record, None, None]:
        stored = _by_run(ranks.at_first(functools.partial(read, directory.records)))
        finished = {key: record for key, record in stored.items() if record.status == "ok"}
        yield from finished.values()
        labels = {text: (given.rule or registry.part("rule", text)).label for text in sweep.rules}
        keys = {config: (labels[config.rule], config.seed, config.synapses) for config in sweep.runs()}
        for config in keys:
            if keys[config] in finished and ranks.first:  # and was, perhaps, interrupted just then
                directory.remove_checkpoint(config)
        waiting = [config for config in keys if keys[config] not in finished]
        shared = directory.shared() if workers is not None and workers.elsewhere else None
        work = functools.partial(
            _run,
            data=data,
            given=given,
            # Workers elsewhere may have another working directory.
            directory=RunDirectory(path.absolute()) if workers is not None and workers.elsewhere else directory,
            keep_weights=sweep.keep_weights,
            keep_model=sweep.keep_weights and len(sweep.grid()) == 1,
            ranks=ranks,
        )
        runs = (
            ((config, work(config, progress())) for config in waiting)
            if workers is None
            else run_in_workers(work, waiting, workers, progress, shared=shared)
        )
        with contextlib.closing(runs), contextlib.ExitStack() as stack:  # ends workers while the directory is locked
            if curves is not None:
                stack.enter_context(contextlib.closing(curves))
            for config, trained in runs:
                record = on_chip.noted(trained, config, chips)
                stored.pop(keys[config], None)
                stored[keys[config]] = record
                ranks.at_first(functools.partial(write, directory.records, stored.values()))
                if curves is not None and ranks.first:
                    curves.finished(config, record)
                if record.status == "ok" and ranks.first:
                    directory.remove_checkpoint(config)
                yield record
        if ranks.first:
            directory.remove_empty_checkpoints()

    def locked() -> Generator[Record, None, None]:
        with lock:
            try:
                with connected:
                    yield from records()
            except RequestError:  # of workers that do not fit
                if not resume and ranks.first:
                    directory.withdraw()
                raise
            finally:
                if ranks.first:
                    directory.remove_parts()  # of workers that were ended while they wrote

    return locked()


def _both(progress: Callable[[], ProgressListener], log: TensorBoard) -> Callable[[], ProgressListener]:
    return lambda: Listeners(progress(), log())


def _by_run(records: Iterable[Record]) -> dict[tuple[str, int, Any], Record]:
    """One record per run: of several the first that is not of a failure, or else the last."""
    runs: dict[tuple[str, int, Any], Record] = {}
    for record in records:
        key = record.label, record.seed, record.settings.get("synapses")
        if key not in runs or runs[key].status == "failed":
            runs[key] = record
    return runs


def _run(
    config: RunConfig,
    progress: ProgressListener,
    *,
    data: Dataset,
    given: Given,
    directory: RunDirectory,
    keep_weights: bool,
    keep_model: bool,
    ranks: Ranks,
) -> Record:
    """Train one run, or record why it failed."""
    begin = time.perf_counter()
    checkpoint = ranks.at_first(functools.partial(directory.checkpoint, config))
    weights = ranks.at_first(functools.partial(directory.weights, config)) if keep_weights else None
    once = functools.partial(
        train,
        config,
        data,
        given=given,
        save_to=checkpoint,
        weights=weights,
        model=directory.path if keep_model else None,
        watch=progress,
        ranks=ranks,
    )
    try:
        try:
            return once(resume=True)
        except CheckpointError as error:
            if ranks.at_first(checkpoint.is_dir):
                raise
            ranks.at_first(functools.partial(checkpoint.unlink, missing_ok=True))
            what = f"{config.rule} with seed {config.seed}"
            warnings.warn(f"{error}. It is deleted, and {what} begins again", stacklevel=2)
        return once()
    except DivergedError as error:
        reason = str(error)
    except (DataError, MemoryLimitError) as error:
        if ranks.size > 1:  # perhaps of this process alone
            raise
        reason = str(error)
    except RuntimeError as error:  # torch's own, such as too little memory; other runs may still succeed
        if ranks.size > 1:
            raise OnchipError(f"{config.rule} with seed {config.seed}: {type(error).__name__}: {error}") from error
        reason = f"{type(error).__name__}: {error}"
    record = describe(resolve(config, data, given))
    return dataclasses.replace(record, error=reason, seconds=time.perf_counter() - begin)
