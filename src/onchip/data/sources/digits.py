"""The embedded data set."""

from __future__ import annotations

from pathlib import Path

import torch

from onchip.data.base.split import Split
from onchip.data.base.stratify import hold_out
from onchip.data.files.source import Info, Parts, Source

__all__ = ["digits"]

TEST = 0.2  # our choice: the set comes without a split that keeps its classes even
SEED = 0  # of that split, so that every run of every version tests on the same images


def digits() -> Source:
    """1,797 handwritten digits of 8×8 pixels, which come with scikit-learn.

    Pixels count inked dots, 0 to 16; they are scaled to bytes as round(value · 255 / 16). A fifth of the
    images is the test split: drawn once, stratified, whatever the seed of a run.

    Reference: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998, test part;
        https://doi.org/10.24432/C50P49
    """
    info = Info(
        name="digits",
        title="scikit-learn digits",
        shape=(1, 8, 8),
        classes=10,
        train=1438,
        test=359,
        reference="Alpaydin and Kaynak 1998, https://doi.org/10.24432/C50P49",
        embedded=True,
    )
    return Source(info.name, info, files=(), read=_read)


def _read(_root: Path) -> Parts:
    from sklearn.datasets import load_digits  # takes seconds, so on demand

    bunch = load_digits()
    dots = torch.from_numpy(bunch.images).unsqueeze(1)  # (1797, 1, 8, 8), 0..16
    whole = Split((dots * 255 / 16).round().to(torch.uint8), torch.from_numpy(bunch.target).long())
    kept, held = hold_out(whole.labels, TEST, SEED)
    return Parts(tuple("0123456789"), train=whole.take(kept), test=whole.take(held))
