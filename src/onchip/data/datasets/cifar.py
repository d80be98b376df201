"""CIFAR-10 and CIFAR-100, in the pickles they are published in."""

import re
from pathlib import Path
from typing import Any

import torch

from onchip._files import require_regular
from onchip.data.source import DatasetInfo, DatasetSource, RawSplits
from onchip.data.split import Split
from onchip.errors import DataError

__all__ = ["cifar10", "cifar100"]

REFERENCE = "Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html"


def cifar10() -> DatasetSource:
    """60,000 color photographs of 32×32 pixels, 10 classes.

    Reference: A. Krizhevsky, Learning multiple layers of features from tiny images, 2009.
    """
    batches = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")
    info = DatasetInfo("cifar10", "CIFAR-10", (3, 32, 32), 10, 50_000, 10_000, REFERENCE)
    return _source(info, "CIFAR10", "cifar-10-batches-py", batches)


def cifar100() -> DatasetSource:
    """60,000 color photographs of 32×32 pixels, 100 (fine) classes.

    Reference: A. Krizhevsky, Learning multiple layers of features from tiny images, 2009.
    """
    info = DatasetInfo("cifar100", "CIFAR-100", (3, 32, 32), 100, 50_000, 10_000, REFERENCE)
    return _source(info, "CIFAR100", "cifar-100-python", ("train", "test", "meta"))


def _source(info: DatasetInfo, torchvision_name: str, folder: str, files: tuple[str, ...]) -> DatasetSource:
    def kind() -> Any:
        from torchvision import datasets  # takes seconds, so on demand

        return getattr(datasets, torchvision_name)

    def read(root: Path) -> RawSplits:
        _check_sums(kind(), root / folder, files)
        # torchvision checks every sum once more before it opens a pickle (CIFAR10.__init__, _load_meta).
        train, test = kind()(root, train=True), kind()(root, train=False)
        return RawSplits(tuple(train.classes), _split(train), _split(test))

    def download(root: Path) -> None:
        kind()(root, download=True)

    return DatasetSource(info.name, info, tuple(f"{folder}/{file}" for file in files), read, download)


def _check_sums(kind: Any, folder: Path, files: tuple[str, ...]) -> None:
    """Raise DataError unless every file is, byte for byte, the published one.

    The files are pickles, and a pickle runs code when it is read: an unknown one is never opened.
    """
    from torchvision.datasets.utils import check_integrity

    sums = {**dict(kind.train_list), **dict(kind.test_list), kind.meta["filename"]: kind.meta["md5"]}
    for file in files:
        md5 = sums.get(file)
        if not (isinstance(md5, str) and re.fullmatch("[0-9a-f]{32}", md5)):
            raise DataError(
                f"{folder / file}: the installed torchvision states no checksum for it, and without one the "
                "pickle is not opened. Install a torchvision of version 0.23 or later"
            )
        try:
            require_regular(folder / file)
        except OSError as error:
            raise DataError(
                f"{folder / file} cannot be read: {error.strerror}. Give a file that you may read"
            ) from error
        if not check_integrity(folder / file, md5):
            raise DataError(
                f"{folder / file} is not the published file (its MD5 differs from {md5}): it is damaged or "
                f"somebody else's, and is not opened. Delete the folder {folder.name} and fetch it again"
            )


def _split(dataset: Any) -> Split:
    images = torch.from_numpy(dataset.data).permute(0, 3, 1, 2).contiguous()  # (N, H, W, C) -> (N, C, H, W)
    return Split(images, torch.tensor(dataset.targets, dtype=torch.int64))
