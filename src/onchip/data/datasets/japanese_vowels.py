"""Spoken vowels that come with the package, in `japanese_vowels.npz`.

The file holds M. Kudo, J. Toyama and M. Shimbo, Japanese Vowels, UCI Machine Learning Repository, 1999,
https://doi.org/10.24432/C5NS47, in its published order, under the licence CC BY 4.0
(https://creativecommons.org/licenses/by/4.0/). Only the file format was changed, by
`experiments/embed_japanese_vowels.py`:

    values   (9961, 12) int32, coefficients in millionths, all utterances one after the other, those of train first
    lengths  (640,) uint8, time steps of each utterance
    labels   (640,) uint8, speaker of each, from 0
"""

from pathlib import Path

import numpy as np

from onchip.data.samples import SEQUENCES
from onchip.data.source import DatasetInfo, DatasetSource, RawSplits
from onchip.data.standardized import standardized_splits

FILE = Path(__file__).with_name("japanese_vowels.npz")
SPEAKERS = tuple(f"speaker {number}" for number in range(1, 10))
TRAIN, TEST = 270, 370
UNIT = 1e-6  # of the stored integers: the published text has six digits after the point


def japanese_vowels() -> DatasetSource:
    """640 utterances of the vowels /ae/ by nine male speakers, which come with the package.

    A time step is a frame of 25.6 ms every 6.4 ms, described by 12 coefficients of the linear prediction cepstrum; an
    utterance has 7 to 29 of them. The class is the speaker. Each coefficient is scaled by its mean and standard
    deviation over all frames of the published training part; test utterances are those of other occasions.

    Reference: M. Kudo, J. Toyama and M. Shimbo, Multidimensional curve classification using passing-through regions,
        Pattern Recognition Letters, 1999; https://doi.org/10.24432/C5NS47
    """
    reference = "Kudo, Toyama and Shimbo 1999, https://doi.org/10.24432/C5NS47"
    info = DatasetInfo(
        "japanese-vowels", "Japanese Vowels", (12,), 9, TRAIN, TEST, reference, True, kind=SEQUENCES, steps=26
    )
    return DatasetSource(info.name, info, files=(), read=_read)


def _read(_root: Path) -> RawSplits:
    with np.load(FILE) as arrays:
        values, lengths, labels = arrays["values"] * UNIT, arrays["lengths"], arrays["labels"].tolist()
    utterances = np.split(values, np.cumsum(lengths.astype(np.int64))[:-1])
    train, test, scale = standardized_splits((utterances[:TRAIN], labels[:TRAIN]), (utterances[TRAIN:], labels[TRAIN:]))
    return RawSplits(SPEAKERS, train, test, standardization=scale)
