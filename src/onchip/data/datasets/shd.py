"""Spiking Heidelberg Digits: spoken digits as the spikes of a model of the inner ear."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from onchip._types import checked
from onchip.data.publisher import Publisher
from onchip.data.readers.binning import MOST_FRAMES, count_events, stored
from onchip.data.readers.shd import CHANNELS, read_labels, read_spikes
from onchip.data.recordings import EventFile, Frames, read_splits
from onchip.data.samples import SEQUENCES
from onchip.data.source import DatasetInfo, DatasetSource, RawSplits
from onchip.errors import require

FILES = ("SHD/shd_train.h5", "SHD/shd_test.h5")
DURATION_US = 1_400_000  # no recording is longer
ENGLISH = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
GERMAN = ("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun")
ARCHIVES = {  # as tonic states them
    "shd_train.h5.zip": "f3252aeb598ac776c1b526422d90eecb",
    "shd_test.h5.zip": "1503a5064faa34311c398fb0a1ed0a6f",
}


@checked
def shd(*, frames: int = 100, channels: int = CHANNELS) -> DatasetSource:
    """10,420 spoken digits, English and German, as spikes in the 700 channels of a model of the inner ear, 20 classes.

    A recording becomes a sequence: the number of spikes of each channel in each of so many parts of 1.4 s. Two of the
    test split's speakers are not in the training split. Files are SHD/shd_{train,test}.h5; to download or read them,
    install `onchip[events]`.

    Args:
        frames: time steps of a sequence, 1 to 1,000; 100 of 14 ms are those of F. Zenke's SpyTorch, tutorial 4.
        channels: 1 to 700; fewer add up neighbors.

    Raises:
        RequestError: an option out of its range.

    Reference: B. Cramer et al., The Heidelberg spiking data sets for the systematic evaluation of spiking neural
        networks, IEEE Trans. Neural Networks and Learning Systems, 2022.
    """
    require(1 <= frames <= MOST_FRAMES, "shd", "frames", frames, f"1 to {MOST_FRAMES:,} frames")
    require(1 <= channels <= CHANNELS, "shd", "channels", channels, f"1 to {CHANNELS} channels")
    reference = "Cramer et al. 2022, https://doi.org/10.1109/TNNLS.2020.3044364"
    classes, title = ENGLISH + GERMAN, "Spiking Heidelberg Digits"
    info = DatasetInfo("shd", title, (channels,), len(classes), 8_156, 2_264, reference, kind=SEQUENCES, steps=frames)
    publisher = Publisher("https://zenkelab.org/datasets", {"SHD": ARCHIVES}, "SHD")

    def read(root: Path, *, again: bool = False) -> RawSplits:
        files = [
            [
                EventFile(
                    root / file, read_labels(root / file, len(classes)), partial(_frames, root / file, frames, channels)
                )
            ]
            for file in FILES
        ]
        train, test = read_splits(info.name, root, (frames, channels), files, kind=SEQUENCES, again=again)
        return RawSplits(classes, train, test)

    return publisher.source(info, FILES, read)


def _frames(path: Path, frames: int, channels: int) -> Iterator[Frames]:
    for events in read_spikes(path):
        counts = count_events(events, frames, (1, channels), window=(0, DURATION_US))  # (F, 2, 1, channels)
        yield stored(counts[:, 0, 0])
