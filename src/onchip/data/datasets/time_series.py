"""A user's own sequences, in two files of the UEA archive's text format."""

import os
from pathlib import Path

from onchip.data.readers.ts import read_ts
from onchip.data.source import DatasetSource, RawSplits
from onchip.data.standardized import standardized_splits
from onchip.errors import DataError, RequestError


def time_series(path: str) -> DatasetSource:
    """Sequences in PATH_TRAIN.ts and PATH_TEST.ts, as the UEA archive of time series names its files.

    Each channel is scaled by the mean and standard deviation over all time steps of the training file.
    """
    if not path:
        raise RequestError("ts: got no path; expected ts:PATH of two files PATH_TRAIN.ts and PATH_TEST.ts")
    base = os.path.abspath(os.path.expanduser(path))
    return DatasetSource(f"ts:{path}", None, files=(), read=lambda _root: _read(base))


def _read(base: str) -> RawSplits:
    train, test = (read_ts(Path(f"{base}_{part}.ts")) for part in ("TRAIN", "TEST"))
    if train.classes != test.classes:
        raise DataError(
            f"{base}_TEST.ts has the classes {', '.join(test.classes)}; expected those of {base}_TRAIN.ts, "
            f"{', '.join(train.classes)}"
        )
    channels = [series.values[0].shape[1] for series in (train, test)]
    if channels[0] != channels[1]:
        raise DataError(f"{base}_TEST.ts has {channels[1]} channels; expected {channels[0]}, as {base}_TRAIN.ts")
    training, testing, scale = standardized_splits((train.values, train.labels), (test.values, test.labels))
    return RawSplits(train.classes, training, testing, standardization=scale)
