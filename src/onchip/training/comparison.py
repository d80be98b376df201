"""`onchip.compare`: the command of that name, from Python."""

import contextlib
import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from onchip import report
from onchip.errors import RequestError
from onchip.runs.code import refuse_unnamed
from onchip.runs.config import SEEDS
from onchip.runs.directory import RunDirectory
from onchip.runs.record import Record
from onchip.runs.request import combined
from onchip.training import sweep
from onchip.training.builder import load_data
from onchip.training.progress import ProgressListener
from onchip.training.registry import distinct


def compare(
    rules: str | Sequence[str] | None = None,
    *,
    seeds: int | Sequence[int] | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    force: bool = False,
    keep_weights: bool = False,
    jobs: int = 1,
    data_root: str | os.PathLike[str] | None = None,
    download: bool = False,
    progress: Callable[[], ProgressListener] = ProgressListener,
    **settings: Any,
) -> list[Record]:
    """Trains one network under several rules, each under several seeds.

    Args:
        rules: Rules with their options, such as `["bp", "fbp:period=10|100"]`. None takes all default rules that can
            train the network, and warns of the others.
        seeds: Number of seeds, or the seeds; None for 3.
        out: Folder for records, settings, table, page and figure, which `onchip.load_run` and `onchip report` read.
            None stores nothing.
        resume: Continue the comparison in `out`, whose settings need not be repeated.
        force: Replace an earlier comparison in `out`.
        keep_weights: Store the final weights of each run in `out`.
        jobs: Number of runs at a time, each in a process of its own; 1 trains in this process.
        data_root: Folder of the data sets; None for the environment variable `ONCHIP_DATA`, or a cache folder.
        download: Whether the data set's files are downloaded if they are missing.
        progress: Makes the listener of each run; by default, nothing is reported.
        settings: The other settings, as the command line names them, with underscores: `net`, `neuron`, `data`,
            `epochs`, `lr` and so on; see `onchip.runs.config.RunConfig`.

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
    if out is None and (resume or force or keep_weights):
        raise RequestError("resume, force and keep_weights need out, the folder of the comparison; got None")
    given = {"rules": rules, "seeds": seeds, "keep_weights": keep_weights or None}
    given = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()) if out is None else out)
        earlier = RunDirectory(folder).config() if resume else None
        before = earlier.to_dict() if earlier else {"seeds": SEEDS}
        refuse_unnamed(before, settings, str(folder))
        asked = combined({**before, **settings, **{name: value for name, value in given.items() if value is not None}})
        data = load_data(asked.base, root=data_root, download=download)
        if asked.rules is None:
            names, left_out = sweep.trainable(asked.base, data)
            for reason in left_out:
                warnings.warn(f"left out: {reason}", stacklevel=2)
        else:
            names = [rule.label for rule in distinct(asked.rules)]
        runs = sweep.compare(asked.sweep(names), data, folder, resume=resume, force=force, jobs=jobs, progress=progress)
        records = list(stack.enter_context(contextlib.closing(runs)))
        if out is not None:
            report.write(folder, records)
    return records
