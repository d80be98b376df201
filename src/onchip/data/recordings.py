"""Files of recordings to splits of frames: binned once, in parts, into a file from which batches are read."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from onchip.data.progress import report
from onchip.data.readers.sample_cache import SampleCache
from onchip.data.samples import RECORDINGS, SampleKind
from onchip.data.split import Split
from onchip.errors import DataError

VERSION = "1"
"""Of what binning gives; a change here invalidates all frames that are stored."""

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class EventFile:
    """A file with one recording or several.

    Args:
        path: The file.
        labels: Class of each recording in it, in order.
        read: Gives the frames of each, in the same order, as bytes of one shape.
        beside: Other files that `read` opens.
    """

    path: Path
    labels: tuple[int, ...]
    read: Callable[[], Iterator[Frames]]
    beside: tuple[Path, ...] = ()


def read_splits(
    name: str,
    root: Path,
    shape: tuple[int, ...],
    splits: Sequence[Sequence[EventFile]],
    *,
    kind: SampleKind = RECORDINGS,
    again: bool = False,
) -> list[Split]:
    """The frames of files as splits, which are read from the disk where they are needed.

    They are stored in ROOT/binned, and made again when a file's name, size or time changes, or when what is stored is
    damaged. Memory holds the events of one file at a time.

    Args:
        name: Of the data set.
        root: The data root.
        shape: Of the frames of one recording, (F, features...).
        splits: Files of each split, such as train and test.
        kind: What the frames are.
        again: Read all files, whatever is stored.

    Raises:
        DataError: A file is missing or damaged.
    """
    files = [file for split in splits for file in split]
    count = sum(len(file.labels) for file in files)
    cache = SampleCache(
        root / "binned" / f"{name}-{'x'.join(map(str, shape))}.npy",
        _fingerprint([name, VERSION, str(shape)], root, files),
        count,
        "frames",
    )
    frames = cache.samples(partial(_frames, name, shape, files, count), again=again)
    labels = torch.tensor([label for file in files for label in file.labels], dtype=torch.int64)
    whole = Split(frames, labels, kind)
    sizes = [sum(len(file.labels) for file in split) for split in splits]
    return [whole.take(rows) for rows in torch.arange(count).split(sizes)]


def _frames(name: str, shape: tuple[int, ...], files: Sequence[EventFile], count: int) -> Iterator[Frames]:
    done = 0
    what = f"{name}: recordings binned"
    report(what, done, count)
    for file in files:
        before = done
        for frames in file.read():
            assert frames.shape == shape
            yield frames[None]
            done += 1
            report(what, done, count)
        if done - before != len(file.labels):
            raise DataError(
                f"{file.path} has {done - before} recordings; expected {len(file.labels)}, one for each label. "
                "Fetch it again"
            )


def _fingerprint(how: Sequence[str], root: Path, files: Sequence[EventFile]) -> str:
    digest, begin = hashlib.sha256("\0".join(how).encode()), len(os.fspath(root))
    for file in files:
        for path in (file.path, *file.beside):
            try:
                stat = path.stat()
            except OSError as error:
                raise DataError(f"{path} cannot be read: {error.strerror}. Fetch it again") from error
            digest.update(os.fsencode(os.fspath(path)[begin:]))
            digest.update(f"\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
        digest.update(repr(file.labels).encode())
    return digest.hexdigest()
