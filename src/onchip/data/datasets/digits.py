"""The handwritten digits that come with the package, in `digits.npz`: images (1797, 8, 8) uint8, labels (1797,) uint8.

The file holds the test part of E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine
Learning Repository, 1998, https://doi.org/10.24432/C50P49, in its published order, under the licence CC BY 4.0
(https://creativecommons.org/licenses/by/4.0/). Only the file format was changed.
"""

from pathlib import Path

import numpy as np
import torch

from onchip.data.source import DatasetInfo, DatasetSource, RawSplits
from onchip.data.split import Split
from onchip.data.stratify import hold_out

FILE = Path(__file__).with_name("digits.npz")
TEST = 0.2  # our choice: the set comes without a split that keeps its classes even
SEED = 0  # of that split, so that every run of every version tests on the same images


def digits() -> DatasetSource:
    """1,797 handwritten digits of 8×8 pixels, which come with the package.

    A pixel counts inked dots, 0 to 16; it is scaled to a byte as round(value · 255 / 16). A fifth of the images is
    the test split: drawn once, stratified, and independent of the seed of a run.

    Reference: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998, test part;
        https://doi.org/10.24432/C50P49
    """
    reference = "Alpaydin and Kaynak 1998, https://doi.org/10.24432/C50P49"
    info = DatasetInfo("digits", "UCI handwritten digits", (1, 8, 8), 10, 1438, 359, reference, embedded=True)
    return DatasetSource(info.name, info, files=(), read=_read)


def _read(_root: Path) -> RawSplits:
    with np.load(FILE) as arrays:
        dots, labels = torch.from_numpy(arrays["images"]).unsqueeze(1), torch.from_numpy(arrays["labels"]).long()
    samples = Split((dots.double() * 255 / 16).round().to(torch.uint8), labels)
    train, test = hold_out(labels, TEST, SEED)
    return RawSplits(tuple("0123456789"), train=samples.take(train), test=samples.take(test))
