"""Where the files of a data set of events come from: an archive that the user puts in place, or tonic's download."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from onchip.data.readers.archives import unpack
from onchip.data.source import DatasetInfo, DatasetSource, RawSplits
from onchip.errors import DataError


class Read(Protocol):
    """Data root -> splits; with `again`, every file is read, whatever is stored of them."""

    def __call__(self, root: Path, *, again: bool = False) -> RawSplits: ...


@dataclass(frozen=True)
class Publisher:
    """Archives of a data set.

    Args:
        page: Where they are published.
        archives: MD5 by file name, in the folders where they belong, relative to the data root.
        tonic: The class of `tonic.datasets` that downloads them.
        splits: Whether that class takes `train=True` or `train=False`.
    """

    page: str
    archives: Mapping[str, Mapping[str, str]]
    tonic: str
    splits: bool = True

    def source(
        self,
        info: DatasetInfo,
        files: tuple[str, ...],
        read: Read,
        part: Callable[[Path], tuple[int, int]] | None = None,
        *,
        layouts: tuple[tuple[str, ...], ...] = (),
    ) -> DatasetSource:
        """The data set; see `DatasetSource` for the arguments."""
        return DatasetSource(
            info.name,
            info,
            files,
            read,
            self.download,
            part,
            layouts=layouts,
            reread=partial(read, again=True),
            unpack=self.unpack,
            by_hand=self.by_hand,
        )

    def by_hand(self, root: Path) -> str:
        """What to do where a download fails."""
        places = " or ".join(f"{', '.join(names)} into {root / folder}" for folder, names in self.archives.items())
        return f"download the archives from {self.page}, put {places}, and fetch again, which unpacks them"

    def unpack(self, root: Path) -> None:
        """Unpack the archives that are there."""
        for folder, archives in self.archives.items():
            unpack(root / folder, archives)

    def download(self, root: Path) -> None:
        """Download with tonic."""
        try:
            from tonic import datasets
        except ImportError as error:
            raise DataError("tonic is not installed; run `pip install onchip[events]`") from error
        kind = getattr(datasets, self.tonic)
        for options in ({"train": True}, {"train": False}) if self.splits else ({},):
            kind(save_to=str(root), **options)
