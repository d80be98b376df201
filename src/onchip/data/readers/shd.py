"""HDF5 files of the Spiking Heidelberg Digits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onchip.data.readers.events import Events, checked
from onchip.data.readers.files import require_file
from onchip.errors import DataError

CHANNELS = 700
TIMES, UNITS, LABELS = "spikes/times", "spikes/units", "labels"
KINDS = {TIMES: "f", UNITS: "iu", LABELS: "iu"}
"""Kinds of numbers, as numpy abbreviates them."""
BLOCK = 256
"""Recordings that are read at a time."""
US = 1e6  # of a second


def read_labels(path: Path, classes: int) -> tuple[int, ...]:
    """The class of each recording.

    Args:
        path: The file.
        classes: Labels must be less than this.

    Raises:
        DataError: h5py is missing, or the file is missing, damaged or another one.
    """
    with _opened(path) as (_, _, stored):
        labels = np.asarray(stored[:])
    if (wrong := (labels < 0) | (labels >= classes)).any():
        at = int(wrong.argmax())
        raise DataError(f"{path} has label {labels[at]} at place {at}; expected 0 to {classes - 1}. Fetch it again")
    return tuple(labels.tolist())


def read_spikes(path: Path) -> Iterator[Events]:
    """The spikes of each recording, x the channel, on a sensor of one row.

    Raises:
        DataError: As `read_labels`; or what is in a recording cannot have been recorded.
    """
    with _opened(path) as (times, units, labels):
        for start in range(0, len(labels), BLOCK):
            block = slice(start, min(start + BLOCK, len(labels)))
            for index, (time, unit) in enumerate(zip(times[block], units[block], strict=True), start):
                yield _events(f"{path}, recording {index},", np.asarray(time), np.asarray(unit))


def _events(name: str, time: NDArray[Any], unit: NDArray[Any]) -> Events:
    if len(time) != len(unit):
        raise DataError(f"{name} has {len(time)} times and {len(unit)} channels; expected as many. Fetch it again")
    channel, us = unit.astype(np.int64), np.rint(time.astype(np.float64) * US)
    if (wrong := (channel < 0) | (channel >= CHANNELS)).any():
        at = int(wrong.argmax())
        raise DataError(f"{name} has spike {at} in channel {unit[at]}; expected 0 to {CHANNELS - 1}. Fetch it again")
    if (wrong := ~(np.abs(us) < 2**62)).any():  # also NaN
        at = int(wrong.argmax())
        raise DataError(f"{name} has spike {at} at {time[at]} s; expected a finite time. Fetch it again")
    zeros = np.zeros(len(us), dtype=np.int64)
    return checked(name, (1, CHANNELS), channel, zeros, zeros, us.astype(np.int64))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any, Any]]:
    """Times, channels and labels of an open file, as h5py's datasets of one length."""
    require_file(path)
    try:
        import h5py
    except ImportError as error:
        raise DataError(f"{path} takes h5py to read; run `pip install onchip[events]`") from error
    try:
        with h5py.File(path, "r") as file:
            found = [_dataset(path, file, name, kind) for name, kind in KINDS.items()]
            if len({len(each) for each in found}) > 1 or not len(found[0]):
                sizes = ", ".join(f"{len(each)} {name}" for name, each in zip(KINDS, found, strict=True))
                raise DataError(f"{path} has {sizes}; expected as many of each, at least one. Fetch it again")
            yield found[0], found[1], found[2]
    except DataError:
        raise
    # What h5py raises on a damaged file; there is no one type for it.
    except (OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, MemoryError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path} is no intact HDF5 file: {reason}. Fetch it again") from error


def _dataset(path: Path, file: Any, name: str, kind: str) -> Any:
    """A list of numbers or, of spikes, of lists of numbers."""
    import h5py

    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        names: list[str] = []
        file.visit(names.append)
        raise DataError(
            f"{path} has no data set {name!r}, but {', '.join(names[:9]) or 'nothing'}; expected {', '.join(KINDS)}. "
            "Fetch it again"
        )
    number = h5py.check_vlen_dtype(found.dtype) if name != LABELS else found.dtype
    if found.ndim != 1 or number is None or np.dtype(number).kind not in kind:
        raise DataError(
            f"{path} has {name!r} of shape {found.shape} and type {found.dtype}; expected one list of numbers for each "
            "recording, or one label. Fetch it again"
        )
    return found
