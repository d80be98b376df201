"""A data set that a user's function returns."""

from __future__ import annotations

import torch

from onchip.data.own import own_splits
from onchip.data.source import DatasetSource, RawSplits
from onchip.runs.code import CodeName
from onchip.runs.user_function import user_function


def function(name: CodeName) -> DatasetSource:
    """What a function without parameters returns, in any of the forms of `onchip.data.own.own_splits`.

    Torch's draws in the function come from one seed, so that it returns the same data for each run, and for a run that
    is resumed.
    """

    def read(_: object) -> RawSplits:
        called = user_function(name)
        called.supplied()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return own_splits(called(), name.short, called.file)

    return DatasetSource(str(name), None, files=(), read=read, by_code=True)
