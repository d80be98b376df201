"""`onchip.compare`: the command of that name, from Python."""

import contextlib
import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from torch import nn

from onchip import report
from onchip.data.loading import divided
from onchip.errors import RequestError
from onchip.learning.ranks import Ranks, only_given
from onchip.runs.code import refuse_unnamed
from onchip.runs.directory import RunDirectory
from onchip.runs.record import Record
from onchip.runs.request import combined
from onchip.runs.shards import parse_shard, shard_folder
from onchip.runs.sweep_config import SEEDS
from onchip.training import sweep
from onchip.training.builder import load_data
from onchip.training.clusters import Pool, Workers
from onchip.training.clusters import cluster as cluster_named
from onchip.training.objects import data_given, network_given
from onchip.training.progress import ProgressListener
from onchip.training.resolved import Given
from onchip.training.selection import selected


def compare(
    rules: str | Sequence[str] | None = None,
    *,
    net: str | Callable[..., nn.Module] | None = None,
    data: Any = None,
    classes: int | None = None,
    seeds: int | Sequence[int] | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    force: bool = False,
    keep_weights: bool = False,
    chip: str | None = None,
    keep_unsupported: bool = False,
    jobs: int | None = None,
    cluster: str | None = None,
    executor: Executor | None = None,
    shard: str | None = None,
    data_root: str | os.PathLike[str] | None = None,
    download: bool = False,
    progress: Callable[[], ProgressListener] = ProgressListener,
    log: str | None = None,
    ranks: Ranks | None = None,
    **settings: Any,
) -> list[Record]:
    """Trains one network under several rules, each under several seeds.

    Args:
        rules: Rules with their options, such as `["bp", "fbp:period=10|100"]`. None takes all default rules that can
            train the network, and warns of the others.
        net: The network as the command line names it, or a function that builds it: without parameters, or with any of
            `shape` (of one input), `classes` and `neuron` (makes a layer of the neurons that were asked for).
        data: The data set as the command line names it; or an `onchip.data.Dataset`, (train, test) or
            (train, validation, test), each of them samples as `onchip.fit` takes them; or a function that returns one
            of these.
        classes: Number of classes of such data; None for the largest label and one more.
        seeds: Number of seeds, or the seeds; None for 3.
        out: Folder for records, settings, table, page and figure, which `onchip.load_run` and `onchip report` read.
            None stores nothing.
        resume: Continue the comparison in `out`, whose settings need not be repeated, except for a network or data of
            your own.
        force: Replace an earlier comparison in `out`.
        keep_weights: Store the final weights of each run in `out`.
        chip: A chip, as `onchip chips` lists them, or a chip file: each rule is judged on it, and trained with its bits
            and beside that in full precision, both by plain gradient descent, with batches of one sample and a learning
            rate of 0.05 unless these are given. Rules that it cannot run are refused.
        keep_unsupported: Train rules that the chip cannot run in full precision, instead of refusing them.
        jobs: Number of runs at a time, each in a process of its own; None or 1 trains in this process. On a cluster or
            executor, None is as many as it has room for.
        cluster: Where runs train instead, such as "dask:tcp://host:8786" or "slurm:partition=gpu;time=60"; see
            docs/cluster.md. Its workers must share `out`.
        executor: The same, as any `concurrent.futures.Executor` of a program's own. It stays open.
        shard: Part of the runs, "0/4" for the first of four, whose folder is made in `out`.
        data_root: Folder of the data sets; None for the environment variable `ONCHIP_DATA`, or a cache folder.
        download: Whether the data set's files are downloaded if they are missing.
        progress: Makes the listener of each run; by default, nothing is reported.
        log: "tensorboard" writes curves for that program into `out`, while runs train; None writes none.
        ranks: The processes that train each run together, from `onchip.Ranks.join`; None for this one alone.
        settings: The other settings, as the command line names them, with underscores: `neuron`, `epochs`, `lr`
            and so on; see `onchip.runs.config.RunConfig`.

    Returns:
        One record per run, in the order in which they finished; the `status` of a run that failed is `failed`.

    Raises:
        RequestError: A setting is wrong, or `out` has another comparison.
        DataError: A file of the data set is missing or damaged.
        UnsupportedError: A rule cannot train this network.

    Example:
        >>> import onchip
        >>> records = onchip.compare(["bp", "dfa"], seeds=1, net="mlp", train_size=100, epochs=1)
        >>> [(record.label, record.ledger["weights_transported"] > 0) for record in records]
        [('bp', True), ('dfa', False)]
    """
    ranks = only_given(ranks)
    if out is None and (resume or force or keep_weights or shard is not None or log is not None):
        raise RequestError(
            "resume, force, keep_weights, shard and log need out, the folder of the comparison; got None"
        )
    if shard is not None and out is not None:
        out = shard_folder(Path(out), parse_shard(shard))
    net, network = network_given(net) if net is not None else (None, None)
    if network is not None and not network.fresh:
        raise RequestError("compare got a network, which can be trained once; expected a function that builds one")
    parts = None
    if data is not None and not isinstance(data, str):
        data, parts = data_given(data, classes)
        settings = {**({"batch_size": parts.train.batch_size} if parts.train.batch_size else {}), **settings}
    elif classes is not None:
        raise RequestError(f"compare got classes={classes} for the data {data!r}, which decide on it; leave it out")
    workers = _workers(cluster, executor, jobs)
    objects = Given(network)
    settings |= {name: text for name, text in (("net", net), ("data", data)) if text is not None}
    given = {"rules": rules, "seeds": seeds, "keep_weights": keep_weights or None}
    given |= {"shard": shard, "chip": chip, "keep_unsupported": keep_unsupported or None}
    given = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()) if out is None else out)
        earlier = RunDirectory(folder).config() if resume else None
        before = earlier.to_dict() if earlier else {"seeds": SEEDS}
        refuse_unnamed(before, settings, str(folder))
        asked = combined({**before, **settings, **{name: value for name, value in given.items() if value is not None}})
        loaded = (
            load_data(asked.base, root=data_root, download=download)
            if parts is None
            else divided(data, parts, train_size=asked.base.train_size, validation=asked.base.validation)
        )
        request, left_out = selected(asked, loaded, objects)
        for reason in left_out:
            warnings.warn(f"left out: {reason}", stacklevel=2)
        options: dict[str, Any] = {
            "resume": resume,
            "force": force,
            "jobs": jobs,
            "progress": progress,
            "log": log,
            "workers": workers,
            "ranks": ranks,
        }
        runs = sweep.compare(request, loaded, folder, given=objects, **options)
        records = list(stack.enter_context(contextlib.closing(runs)))
        if out is not None and ranks.first:
            report.write(folder, records)
    return records


def _workers(cluster: str | None, executor: Executor | None, jobs: int | None) -> Workers | None:
    if cluster is not None and executor is not None:
        raise RequestError("compare got a cluster and an executor; expected one of them")
    if jobs is not None and jobs < 1:
        raise RequestError(f"jobs got {jobs}; expected at least 1 run at a time")
    if executor is not None:
        return Pool(executor, jobs)
    return None if cluster is None else cluster_named(cluster, jobs)
