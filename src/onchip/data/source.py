"""A data set before it is loaded: its facts, its files, and how to read them."""

import contextlib
import os
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from onchip.data.samples import IMAGES, SampleKind
from onchip.data.split import Samples
from onchip.errors import DataError
from onchip.runs.model_file import Standardization


@dataclass(frozen=True)
class DatasetInfo:
    """Facts about a data set, known without its files.

    Args:
        name: as the command line and `load` take it.
        title: its name in print.
        shape: features at one time step; (C, H, W) of images and recordings.
        classes: number of classes.
        train: number of training samples (validation is drawn from them).
        test: number of test samples.
        reference: its authors, and where it is described.
        embedded: True when it comes with the package, or is generated, and needs no files.
        kind: what its samples are.
        steps: frames of a recording, or time steps of the longest sequence to train on; None for images.
        others: numbers of training and test samples of other cuts of the data set that are published as whole.
    """

    name: str
    title: str
    shape: tuple[int, ...]
    classes: int
    train: int
    test: int
    reference: str
    embedded: bool = False
    kind: SampleKind = IMAGES
    steps: int | None = None
    others: tuple[tuple[int, int], ...] = ()

    def whole(self, train: int, test: int) -> bool:
        """Whether so many training and test samples are all that were published."""
        return (train, test) in ((self.train, self.test), *self.others)


@dataclass(frozen=True, eq=False)
class RawSplits:
    """The splits as read from the files, before validation is drawn from train."""

    classes: tuple[str, ...]
    train: Samples
    test: Samples
    validation: Samples | None = None
    standardization: Standardization | None = None


@dataclass(frozen=True)
class DatasetSource:
    """Where one data set comes from.

    Args:
        name: as passed to `load`.
        info: the published facts; None for a user's own folder.
        files: needed files or folders, relative to the data root.
        read: data root -> `RawSplits`; raises DataError on a damaged file.
        download: data root -> files in place; None where there is nothing to download.
        part: data root -> number of training and test samples there, where a part of the files is enough; else None.
        layouts: other sets of needed files, of which one is enough in place of `files`.
        reread: as `read`, but every file is read, whatever is stored of them; None where nothing is stored.
        unpack: data root -> archives that the user has put there are unpacked; None where there are none.
        by_hand: data root -> what to do where a download fails; None for putting `files` there.
        by_code: whether a user's function reads it, which a worker calls again.
    """

    name: str
    info: DatasetInfo | None
    files: tuple[str, ...]
    read: Callable[[Path], RawSplits]
    download: Callable[[Path], None] | None = None
    part: Callable[[Path], tuple[int, int]] | None = None
    layouts: tuple[tuple[str, ...], ...] = ()
    reread: Callable[[Path], RawSplits] | None = None
    unpack: Callable[[Path], None] | None = None
    by_hand: Callable[[Path], str] | None = None
    by_code: bool = False

    def missing(self, root: Path) -> tuple[Path, ...]:
        """The needed files that are not under `root`; none where any of the layouts is whole."""
        absent = [tuple(root / file for file in files if not os.path.exists(root / file)) for files in self._layouts()]
        return () if () in absent else absent[0]

    def require(self, root: Path) -> None:
        """Raise DataError unless every file is there, naming the first that is not."""
        if missing := self.missing(root):
            folders = " or ".join(dict.fromkeys(Path(files[0]).parts[0] for files in self._layouts()))
            raise DataError(
                f"{self.name}: no file {missing[0]} ({len(missing)} of {len(self.files)} files are missing). "
                f"Run `onchip data fetch {self.name}`, pass --download (download=True), or point --data-root "
                f"(ONCHIP_DATA) at the folder that contains {folders}"
            )

    def fetch(self, root: Path) -> None:
        """Download what is missing under `root`; does nothing when nothing is.

        Raises:
            DataError: the download failed, or did not bring every file.
        """
        if self.missing(root) and self.unpack is not None:
            try:
                self.unpack(root)
            except (OSError, ValueError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
                raise DataError(f"{self.name} could not be unpacked in {root}: {error}. Check the disk") from error
        if self.missing(root) and self.download is not None:
            try:
                root.mkdir(parents=True, exist_ok=True)
                with contextlib.redirect_stdout(sys.stderr):  # older torchvision prints what it unpacks
                    self.download(root)
            except Exception as error:  # the network, the disk and the archive fail with types of their own
                reason = " ".join(str(error).split())  # torchvision's is several lines
                there = f"put {', '.join(self.files)} there by hand"
                by_hand = self.by_hand(root) if self.by_hand is not None else there
                raise DataError(
                    f"{self.name} could not be downloaded to {root}: {reason}. Check the network and the disk "
                    f"and try again, or {by_hand}"
                ) from error
        self.require(root)

    def _layouts(self) -> tuple[tuple[str, ...], ...]:
        return (self.files, *self.layouts)
