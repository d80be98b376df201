"""DVS128 Gesture: gestures of hands and arms before an event camera."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from onchip._types import checked
from onchip.data.publisher import Publisher
from onchip.data.readers.aedat import SENSOR, read_caer
from onchip.data.readers.binning import MOST_FRAMES, count_events, stored
from onchip.data.readers.events import Events
from onchip.data.readers.events import checked as checked_events
from onchip.data.readers.files import read_array, read_lines
from onchip.data.recordings import EventFile, Frames, read_splits
from onchip.data.samples import RECORDINGS
from onchip.data.source import DatasetInfo, DatasetSource, RawSplits
from onchip.errors import DataError, require

PUBLISHED = "DvsGesture"  # folder in the publisher's archive
CUT = "DVSGesture"  # folder that tonic makes
TRIALS = ("trials_to_train.txt", "trials_to_test.txt")
FOLDERS = ("ibmGestureTrain", "ibmGestureTest")
USERS = (range(1, 24), range(24, 30))  # of the training and of the test split
TRIAL = re.compile(r"user([0-9]{2})_[a-z_]{1,40}")
DECIMAL = re.compile(r"\s*[0-9]{1,18}\s*")
HEADER = "class,startTime_usec,endTime_usec"
CLASSES = (
    "hand clapping",
    "right hand wave",
    "left hand wave",
    "right arm clockwise",
    "right arm counter clockwise",
    "left arm clockwise",
    "left arm counter clockwise",
    "arm roll",
    "air drums",
    "air guitar",
    "other gestures",
)
ARCHIVES = {
    "": {"DvsGesture.tar.gz": "8a5c71fb11e24e5ca5b11866ca6c00a1"},  # the publisher's
    CUT: {  # tonic's
        "ibmGestureTrain.tar.gz": "3a8f0d4120a166bac7591f77409cb105",
        "ibmGestureTest.tar.gz": "56070e45dadaa85fff82e0fbfbc06de5",
    },
}
MS = 1000  # µs


@checked
def dvs_gesture(*, frames: int = 40, size: int = 32) -> DatasetSource:
    """1,464 recordings of 11 gestures by 29 people before an event camera, 128×128 pixels.

    A gesture is stored as frames of equal length from its first event to its last: the number of brighter and darker
    events at each place, summed over the pixels that it stands for. People 1 to 23 are for training, 24 to 29 for the
    test. Files are either the published ones, DvsGesture/{*.aedat,*_labels.csv,trials_to_*.txt}, whose labels give
    1,176 and 288 gestures; or those that tonic downloads, DVSGesture/ibmGesture{Train,Test}/USER/CLASS.npy, with at
    most one gesture of a class per trial: 1,077 and 264. A part of the trials is enough.

    Args:
        frames: number of frames, 1 to 1,000.
        size: rows and columns of a frame, 1 to 128.

    Raises:
        RequestError: an option out of its range.

    Reference: A. Amir et al., A low power, fully event-based gesture recognition system, CVPR 2017. 32×32 is the size
        of J. Kaiser, H. Mostafa and E. Neftci, Synaptic plasticity dynamics for deep continuous local learning
        (DECOLLE), Front. Neurosci., 2020.
    """
    require(1 <= frames <= MOST_FRAMES, "dvs-gesture", "frames", frames, f"1 to {MOST_FRAMES:,} frames")
    require(1 <= size <= SENSOR[0], "dvs-gesture", "size", size, f"1 to {SENSOR[0]} rows and columns")
    info = DatasetInfo(
        "dvs-gesture",
        "DVS128 Gesture",
        (2, size, size),
        len(CLASSES),
        1_176,
        288,
        "Amir et al. 2017, https://research.ibm.com/interactive/dvsgesture",
        kind=RECORDINGS,
        steps=frames,
        others=((1_077, 264),),
    )
    publisher = Publisher("https://research.ibm.com/interactive/dvsgesture", ARCHIVES, "DVSGesture")

    def read(root: Path, *, again: bool = False) -> RawSplits:
        files = _files(root, frames, size)
        train, test = read_splits(info.name, root, (frames, *info.shape), files, again=again)
        return RawSplits(CLASSES, train, test)

    cut = tuple(f"{CUT}/{folder}" for folder in FOLDERS)
    return publisher.source(info, tuple(f"{PUBLISHED}/{file}" for file in TRIALS), read, _count, layouts=(cut,))


def _count(root: Path) -> tuple[int, int]:
    try:
        train, test = (sum(len(file.labels) for file in split) for split in _files(root, 1, 1))
    except DataError:  # named when it is read
        return 0, 0
    return train, test


def _files(root: Path, frames: int, size: int) -> list[list[EventFile]]:
    """The files of both splits; the published ones where both kinds are there."""
    if all((root / PUBLISHED / trials).exists() for trials in TRIALS):
        listed = zip(TRIALS, USERS, strict=True)
        return [_published(root / PUBLISHED, trials, users, frames, size) for trials, users in listed]
    return [_cut(root / CUT / folder, users, frames, size) for folder, users in zip(FOLDERS, USERS, strict=True)]


def _published(folder: Path, trials: str, users: range, frames: int, size: int) -> list[EventFile]:
    found = []
    for name in read_lines(folder / trials):
        path = folder / name
        _check_user(folder / trials, name, users, ".aedat")
        if not path.exists():  # a part is enough
            continue
        beside = path.with_name(f"{path.stem}_labels.csv")
        labels, times = _labels(beside)
        read = partial(_published_frames, path, times, frames, size)
        found.append(EventFile(path, labels, read, (beside,)))
    if not found:
        raise DataError(f"{folder} holds no recording that {trials} names; expected at least one. Fetch them again")
    return found


def _labels(path: Path) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Class, from 0, and (begin, end) in µs, of each gesture of a recording."""
    header, *lines = read_lines(path) or [""]
    if header.replace(" ", "") != HEADER or not lines:
        raise DataError(f"{path} begins with {header!r:.80}; expected {HEADER!r} and lines of numbers. Fetch it again")
    labels, times = [], []
    for line in lines:
        values = [int(value) if DECIMAL.fullmatch(value) else -1 for value in line.split(",")]
        if len(values) != 3 or not 1 <= values[0] <= len(CLASSES) or not 0 <= values[1] < values[2]:
            raise DataError(
                f"{path} has the line {line!r:.80}; expected a class from 1 to {len(CLASSES)}, and a beginning "
                "before its end, in µs. Fetch it again"
            )
        labels.append(values[0] - 1)
        times.append((values[1], values[2]))
    return tuple(labels), tuple(times)


def _published_frames(path: Path, times: tuple[tuple[int, int], ...], frames: int, size: int) -> Iterator[Frames]:
    whole = read_caer(path)
    for begin, end in times:
        events = whole.between(begin, end)
        if not len(events):
            raise DataError(f"{path} has no event from {begin} to {end} µs, where its labels have a gesture")
        yield stored(count_events(events, frames, (size, size)))


def _cut(folder: Path, users: range, frames: int, size: int) -> list[EventFile]:
    found = []
    for trial in sorted(folder.glob("user*")):
        _check_user(folder, trial.name, users, "")
        for path in sorted(trial.glob("*.npy")):
            if not path.stem.isdecimal() or int(path.stem) >= len(CLASSES):
                raise DataError(f"{path} is named after no class; expected 0 to {len(CLASSES) - 1}. Fetch it again")
            found.append(EventFile(path, (int(path.stem),), partial(_cut_frames, path, frames, size)))
    if not found:
        raise DataError(f"{folder} holds no recording; expected at least one user*/*.npy. Fetch them again")
    return found


def _cut_frames(path: Path, frames: int, size: int) -> Iterator[Frames]:
    yield stored(count_events(_read_cut(path), frames, (size, size)))


def _read_cut(path: Path) -> Events:
    """The events of a file of tonic's: (n, 4) numbers, column, row, sign and time in ms."""
    table = read_array(path)
    if table.ndim != 2 or table.shape[1] != 4 or table.dtype.kind not in "iuf":
        raise DataError(f"{path} holds {table.dtype} of shape {table.shape}; expected numbers (n, 4). Fetch it again")
    numbers = table.astype(np.float64) * (1, 1, 1, MS)
    if not (np.isfinite(numbers).all() and (np.abs(numbers) < 2**53).all() and (numbers == np.floor(numbers)).all()):
        raise DataError(f"{path} has a number that is no place, sign or time in whole µs. Fetch it again")
    x, y, sign, time = numbers.astype(np.int64).T
    return checked_events(path, SENSOR, x, y, sign, time)


def _check_user(where: Path, name: str, users: range, suffix: str) -> None:
    match = TRIAL.fullmatch(name.removesuffix(suffix)) if name.endswith(suffix) else None
    if match is None or int(match[1]) not in users:
        raise DataError(
            f"{where} has {name!r:.80}; expected the recordings of users {users[0]} to {users[-1]}, such as "
            f"'user{users[0]:02}_led{suffix}'. Remove it, or fetch the data set again"
        )
