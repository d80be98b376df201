"""The known data sets, which of them are on disk, and whether their files are intact."""

import os
from dataclasses import dataclass
from pathlib import Path

from onchip.data.datasets import find, registry
from onchip.data.root import data_root
from onchip.data.samples import SampleKind
from onchip.data.source import DatasetInfo, DatasetSource
from onchip.errors import DataError, RequestError


@dataclass(frozen=True)
class Status:
    """Whether the files of a data set exist.

    Args:
        info: the data set's facts.
        root: the folder of the data.
        missing: files that do not exist.
        sizes: number of training and test samples whose files exist; the published ones where no file is missing and
            a data set comes as a whole.
    """

    info: DatasetInfo
    root: Path
    missing: tuple[Path, ...]
    sizes: tuple[int, int]

    @property
    def present(self) -> bool:
        """True when no file is missing (an embedded data set needs none)."""
        return not self.missing


@dataclass(frozen=True)
class Checked:
    """Contents of a whole data set.

    Args:
        name: as passed to `check`.
        root: the folder that was read.
        kind: what the samples are.
        shape: features at one time step; (C, H, W) of images and recordings.
        steps: frames of a recording, or time steps of the longest sequence to train on; None for images.
        classes: name of each class.
        train, validation, test: number of samples; validation is 0 unless the files have such a split.
    """

    name: str
    root: Path
    kind: SampleKind
    shape: tuple[int, ...]
    steps: int | None
    classes: tuple[str, ...]
    train: int
    validation: int
    test: int


def describe() -> tuple[DatasetInfo, ...]:
    """Facts about every data set, in order of name; reads no file."""
    return tuple(info for make in registry().values() if (info := make().info) is not None)


def status(root: str | os.PathLike[str] | None = None) -> tuple[Status, ...]:
    """Which data sets are under `root` (see `data_root`); opens no image and no recording."""
    place = data_root(root)
    return tuple(_status(find(info.name), info, place) for info in describe())


def fetch(name: str, root: str | os.PathLike[str] | None = None) -> Status:
    """Download the missing files of a data set; does nothing when none is missing.

    Raises:
        RequestError: an unknown name, or data of your own.
        DataError: the download failed.
    """
    place, source = data_root(root), find(name)
    if source.info is None:
        raise RequestError(f"{name} are data of your own; expected one of {', '.join(registry())}")
    source.fetch(place)
    return _status(source, source.info, place)


def check(name: str, root: str | os.PathLike[str] | None = None) -> Checked:
    """Read every file of a data set, and compare their contents with the published facts.

    Raises:
        RequestError: an unknown name.
        DataError: a file is missing or damaged, or shape, classes or numbers are not the published ones.
    """
    place, source = data_root(root), find(name)
    source.require(place)
    parts = (source.reread or source.read)(place)
    validation = 0 if parts.validation is None else len(parts.validation)
    train, sizes = parts.train, (len(parts.train), validation, len(parts.test))
    checked = Checked(name, place, train.kind, train.shape, train.steps, parts.classes, *sizes)
    if (info := source.info) is not None:
        got = (checked.shape, checked.steps, len(checked.classes), checked.train, checked.test)
        expected = (info.shape, info.steps, info.classes, info.train, info.test)
        if got[:3] != expected[:3] or not info.whole(checked.train, checked.test):
            raise DataError(
                f"{name} under {place} has (shape, steps, classes, train, test) = {got}; expected {expected}. "
                "Delete its files and fetch them again"
            )
    return checked


def _status(source: DatasetSource, info: DatasetInfo, place: Path) -> Status:
    missing = source.missing(place)
    whole = (0, 0) if missing else (info.train, info.test)
    return Status(info, place, missing, source.part(place) if source.part is not None else whole)
