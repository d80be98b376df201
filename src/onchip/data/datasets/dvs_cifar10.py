"""CIFAR10-DVS: pictures of CIFAR-10 recorded by an event camera."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from onchip._types import checked
from onchip.data.publisher import Publisher
from onchip.data.readers.aedat import SENSOR, read_aedat4, read_jaer
from onchip.data.readers.binning import MOST_FRAMES, count_events, stored
from onchip.data.recordings import EventFile, Frames, read_splits
from onchip.data.samples import RECORDINGS
from onchip.data.source import DatasetInfo, DatasetSource, RawSplits
from onchip.data.stratify import hold_out
from onchip.errors import DataError, require

FOLDER = "CIFAR10DVS"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TEST, SEED = 0.1, 0  # test share and its draw
READERS = {".aedat": read_jaer, ".aedat4": read_aedat4}
ARCHIVES = {  # as the publisher's page states them
    "airplane.zip": "0afd5c4bf9ae06af762a77b180354fdd",
    "automobile.zip": "8438dfeba3bc970c94962d995b1b9bdd",
    "bird.zip": "a9c207c91c55b9dc2002dc21c684d785",
    "cat.zip": "52c63c677c2b15fa5146a8daf4d56687",
    "deer.zip": "b6bf21f6c04d21ba4e23fc3e36c8a4a3",
    "dog.zip": "f379ebdf6703d16e0a690782e62639c3",
    "frog.zip": "cad6ed91214b1c7388a5f6ee56d08803",
    "horse.zip": "e7cbbf77bec584ffbf913f00e682782a",
    "ship.zip": "41c7bd7d6b251be82557c6cce9a7d5c9",
    "truck.zip": "89f3922fd147d9aeff89e76a2b0b70a7",
}


@checked
def dvs_cifar10(*, frames: int = 20, size: int = 48) -> DatasetSource:
    """10,000 recordings of CIFAR-10's pictures moving before an event camera, 128×128 pixels, 10 classes.

    A recording is stored as frames of equal length from its first event to its last: the number of brighter and darker
    events at each place, summed over the pixels that it stands for. No split was published: a tenth becomes the test
    split, the same tenth each time, stratified. Files are CIFAR10DVS/CLASS/*.aedat, as published, or *.aedat4, as
    tonic downloads them; a part of them is enough.

    Args:
        frames: number of frames, 1 to 1,000.
        size: rows and columns of a frame, 1 to 128.

    Raises:
        RequestError: an option out of its range.

    Reference: H. Li et al., CIFAR10-DVS: an event-stream dataset for object classification, Front. Neurosci., 2017.
        48×48 is the size of Y. Li et al., Neuromorphic data augmentation for training spiking neural networks, 2022.
    """
    require(1 <= frames <= MOST_FRAMES, "dvs-cifar10", "frames", frames, f"1 to {MOST_FRAMES:,} frames")
    require(1 <= size <= SENSOR[0], "dvs-cifar10", "size", size, f"1 to {SENSOR[0]} rows and columns")
    reference = "Li et al. 2017, https://doi.org/10.3389/fnins.2017.00309"
    info = DatasetInfo(
        "dvs-cifar10", "CIFAR10-DVS", (2, size, size), 10, 9_000, 1_000, reference, kind=RECORDINGS, steps=frames
    )
    publisher = Publisher("https://figshare.com/articles/dataset/4724671", {FOLDER: ARCHIVES}, "CIFAR10DVS", False)

    def read(root: Path, *, again: bool = False) -> RawSplits:
        files = _files(root / FOLDER, frames, size)
        (whole,) = read_splits(info.name, root, (frames, *info.shape), [files], again=again)
        train, test = hold_out(whole.labels, TEST, SEED)
        return RawSplits(CLASSES, whole.take(train), whole.take(test))

    return publisher.source(info, tuple(f"{FOLDER}/{name}" for name in CLASSES), read, _count)


def _count(root: Path) -> tuple[int, int]:
    total = sum(1 for name in CLASSES for file in (root / FOLDER / name).glob("*.aedat*") if file.suffix in READERS)
    test = max(1, round(TEST * total)) if total else 0
    return total - test, test


def _files(folder: Path, frames: int, size: int) -> list[EventFile]:
    found = []
    for label, name in enumerate(CLASSES):
        files = sorted(file for file in (folder / name).glob("*.aedat*") if file.suffix in READERS)
        kinds = sorted({file.suffix for file in files})
        if len(kinds) != 1 or len(files) < 2:
            held = f"files of both kinds, {' and '.join(kinds)}" if kinds[1:] else f"{len(files)} recordings"
            raise DataError(
                f"{folder / name} holds {held}; expected at least two recordings, either *.aedat or *.aedat4. "
                "Remove the folder and fetch it again"
            )
        found += [EventFile(file, (label,), partial(_frames, file, frames, size)) for file in files]
    return found


def _frames(path: Path, frames: int, size: int) -> Iterator[Frames]:
    yield stored(count_events(READERS[path.suffix](path), frames, (size, size)))
