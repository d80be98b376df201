"""N-MNIST: MNIST recorded by an event camera."""

import string
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from onchip._types import checked
from onchip.data.publisher import Publisher
from onchip.data.readers.binning import MOST_FRAMES, count_events, stored
from onchip.data.readers.events import read_bin
from onchip.data.recordings import EventFile, Frames, read_splits
from onchip.data.samples import RECORDINGS
from onchip.data.source import DatasetInfo, DatasetSource, RawSplits
from onchip.errors import DataError, require

DIGITS = tuple(string.digits)
SENSOR = (34, 34)
DURATION_US = 315_000  # three saccades of 105 ms
ARCHIVES = {"train.zip": "20959b8e626244a1b502305a9e6e2031", "test.zip": "69ca8762b2fe404d9b9bad1103e97832"}  # tonic


@checked
def n_mnist(*, frames: int = 12) -> DatasetSource:
    """70,000 recordings of MNIST digits by a moving event camera, 34×34 pixels, brighter and darker events.

    A recording is stored as frames of equal length from 0 to 315 ms, by default 12, so that T = 1, 2, 3, 4, 6 and 12
    steps can be made of them: the number of events of either sign at each pixel. Files are in tonic's layout,
    NMNIST/{Train,Test}/DIGIT/*.bin; a part of them is enough. To download, install `onchip[events]`.

    Args:
        frames: number of frames, 1 to 1,000.

    Raises:
        RequestError: frames out of its range.

    Reference: G. Orchard et al., Converting static image datasets to spiking neuromorphic datasets using saccades,
        Front. Neurosci., 2015.
    """
    require(1 <= frames <= MOST_FRAMES, "n-mnist", "frames", frames, f"1 to {MOST_FRAMES:,} frames")
    reference = "Orchard et al. 2015, https://doi.org/10.3389/fnins.2015.00437"
    info = DatasetInfo("n-mnist", "N-MNIST", (2, *SENSOR), 10, 60_000, 10_000, reference, kind=RECORDINGS, steps=frames)
    publisher = Publisher("https://www.garrickorchard.com/datasets/n-mnist", {"NMNIST": ARCHIVES}, "NMNIST")
    folders = tuple(f"NMNIST/{split}/{digit}" for split in ("Train", "Test") for digit in DIGITS)

    def read(root: Path, *, again: bool = False) -> RawSplits:
        files = [_files(root / "NMNIST" / split, frames) for split in ("Train", "Test")]
        train, test = read_splits(info.name, root, (frames, *info.shape), files, again=again)
        return RawSplits(DIGITS, train, test)

    return publisher.source(info, folders, read, _count)


def _count(root: Path) -> tuple[int, int]:
    train, test = (sum(1 for _ in (root / "NMNIST" / split).glob("[0-9]/*.bin")) for split in ("Train", "Test"))
    return train, test


def _files(folder: Path, frames: int) -> list[EventFile]:
    found = []
    for label, digit in enumerate(DIGITS):
        files = sorted((folder / digit).glob("*.bin"))
        if not files:
            raise DataError(f"{folder / digit} holds no recording; expected at least one *.bin. Fetch them again")
        found += [EventFile(file, (label,), partial(_frames, file, frames)) for file in files]
    return found


def _frames(path: Path, frames: int) -> Iterator[Frames]:
    events = read_bin(path, SENSOR)
    yield stored(count_events(events, frames, SENSOR, window=(0, DURATION_US)))
