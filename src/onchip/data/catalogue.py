"""What data sets there are, which are at hand, and whether their files are sound."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from onchip.data.datasets import find, registry
from onchip.data.root import data_root
from onchip.data.source import DatasetInfo, DatasetSource
from onchip.errors import DataError, RequestError

__all__ = ["Checked", "Status", "check", "describe", "fetch", "status"]


@dataclass(frozen=True)
class Status:
    """Whether a data set's files are there.

    Args:
        info: the data set's facts.
        root: the folder that was looked in.
        missing: files that should be there and are not.
    """

    info: DatasetInfo
    root: Path
    missing: tuple[Path, ...]

    @property
    def present(self) -> bool:
        """True when no file is missing (an embedded data set has none to miss)."""
        return not self.missing


@dataclass(frozen=True)
class Checked:
    """What reading a whole data set found.

    Args:
        name: as it was asked for.
        root: the folder that was read.
        shape: one image's (C, H, W).
        classes: name of each class.
        train, validation, test: number of images; validation is 0 unless the files have such a split.
    """

    name: str
    root: Path
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    train: int
    validation: int
    test: int


def describe() -> tuple[DatasetInfo, ...]:
    """Facts about every data set, in order of name; reads no file."""
    return tuple(info for make in registry().values() if (info := make().info) is not None)


def status(root: str | os.PathLike[str] | None = None) -> tuple[Status, ...]:
    """Which data sets are at hand under `root` (see `data_root`); opens no file."""
    place = data_root(root)
    return tuple(_status(info, find(info.name), place) for info in describe())


def fetch(name: str, root: str | os.PathLike[str] | None = None) -> Status:
    """Download the missing files of a data set; does nothing when none is missing.

    Raises:
        RequestError: an unknown name, or a folder of your own.
        DataError: the download failed.
    """
    place, source = data_root(root), find(name)
    if source.info is None:
        raise RequestError(f"{name} is a folder of your own; expected one of {', '.join(registry())}")
    source.fetch(place)
    return _status(source.info, source, place)


def check(name: str, root: str | os.PathLike[str] | None = None) -> Checked:
    """Read every file of a data set, and compare what they hold with what was published.

    Raises:
        RequestError: an unknown name.
        DataError: a file is missing or damaged, or shape, classes or numbers are not the published ones.
    """
    place, source = data_root(root), find(name)
    source.require(place)
    parts = source.read(place)
    held = 0 if parts.validation is None else len(parts.validation)
    found = Checked(name, place, parts.train.shape, parts.classes, len(parts.train), held, len(parts.test))
    if (info := source.info) is not None:
        got = (found.shape, len(found.classes), found.train, found.test)
        expected = (info.shape, info.classes, info.train, info.test)
        if got != expected:
            raise DataError(
                f"{name} under {place} has (shape, classes, train, test) = {got}; expected {expected}. "
                "Delete its files and fetch them again"
            )
    return found


def _status(info: DatasetInfo, source: DatasetSource, place: Path) -> Status:
    return Status(info, place, source.missing(place))
