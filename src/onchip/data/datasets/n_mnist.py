"""N-MNIST: MNIST recorded by an event camera."""

import string
from pathlib import Path

import torch

from onchip.data.readers.events import read_frames
from onchip.data.samples import RECORDINGS
from onchip.data.source import DatasetInfo, DatasetSource, RawSplits
from onchip.data.split import Split
from onchip.errors import DataError

DIGITS = tuple(string.digits)
SIZE = (34, 34)
FRAMES = 12  # so that T = 1, 2, 3, 4, 6 and 12 steps can be made of them
FRAME_US = 26_250  # 4 frames for each of the three saccades of 105 ms


def n_mnist() -> DatasetSource:
    """70,000 recordings of MNIST digits by a moving event camera, 34×34 pixels, brighter and darker events.

    A recording is stored as 12 frames of 26.25 ms: whether a pixel had an event of either sign. Files are in tonic's
    layout, NMNIST/{Train,Test}/DIGIT/*.bin; a part of them is enough. To download, install `onchip[events]`.

    Reference: G. Orchard et al., Converting static image datasets to spiking neuromorphic datasets using saccades,
        Front. Neurosci., 2015.
    """
    reference = "Orchard et al. 2015, https://doi.org/10.3389/fnins.2015.00437"
    info = DatasetInfo("n-mnist", "N-MNIST", (2, *SIZE), 10, 60_000, 10_000, reference, kind=RECORDINGS, steps=FRAMES)
    folders = tuple(f"NMNIST/{split}/{digit}" for split in ("Train", "Test") for digit in DIGITS)
    return DatasetSource(info.name, info, folders, _read, _download, _count)


def _read(root: Path) -> RawSplits:
    return RawSplits(DIGITS, _split(root / "NMNIST" / "Train"), _split(root / "NMNIST" / "Test"))


def _count(root: Path) -> tuple[int, int]:
    train, test = (sum(1 for _ in (root / "NMNIST" / split).glob("[0-9]/*.bin")) for split in ("Train", "Test"))
    return train, test


def _split(folder: Path) -> Split:
    recordings, labels = [], []
    for label, digit in enumerate(DIGITS):
        files = sorted((folder / digit).glob("*.bin"))
        if not files:
            raise DataError(f"{folder / digit} holds no recording; expected at least one *.bin. Fetch them again")
        recordings += [read_frames(file, size=SIZE, frames=FRAMES, frame_us=FRAME_US) for file in files]
        labels += [label] * len(files)
    return Split(torch.stack(recordings), torch.tensor(labels), RECORDINGS)


def _download(root: Path) -> None:
    try:
        from tonic.datasets import NMNIST
    except ImportError as error:
        raise DataError("tonic is not installed; run `pip install onchip[events]`") from error
    for train in (True, False):
        NMNIST(save_to=str(root), train=train)
