"""Where the runs of a sweep train: one kind of cluster a file, found by its name in this list."""

import inspect

from onchip.errors import unknown_name
from onchip.runs.grammar import bind, parse, part_name
from onchip.training.clusters.base import Workers
from onchip.training.clusters.dask import Dask
from onchip.training.clusters.local import Local
from onchip.training.clusters.pool import Pool
from onchip.training.clusters.slurm import Slurm

__all__ = ["KINDS", "Dask", "Local", "Pool", "Slurm", "Workers", "cluster"]

KINDS = {part_name(kind): kind for kind in (Dask, Slurm)}
"""Clusters that a text can name."""


def cluster(text: str, jobs: int | None = None) -> Workers:
    """The cluster that a text such as `dask:tcp://host:8786` or `slurm:partition=gpu;time=60` names.

    Args:
        text: Its kind and options, in the grammar of `onchip.runs.grammar`.
        jobs: The number of runs at a time; None for as many as there is room for.

    Raises:
        RequestError: There is no such kind, or its options do not fit.
    """

    def first(name: str) -> str | None:
        parameters = inspect.signature(KINDS[name]).parameters.values() if name in KINDS else ()
        return next((each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD), None)

    name = text.partition(":")[0].strip().lower()
    if name not in KINDS:
        raise unknown_name("cluster", name, KINDS)
    call = parse(text, alone=first)
    options = bind(f"cluster {name!r}", KINDS[name], call.options, settled=("jobs",))
    return KINDS[name](**options, jobs=jobs)
