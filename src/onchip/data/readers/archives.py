"""Archives that a user has put in place, unpacked if they are the published ones."""

import hashlib
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from onchip.errors import DataError

CHUNK = 2**20


def unpack(folder: Path, archives: Mapping[str, str]) -> None:
    """Unpack the archives that are in a folder, each beside itself.

    Args:
        folder: The folder, which need not exist.
        archives: Published MD5 by file name; the files may be missing.

    Raises:
        DataError: An archive is not, byte for byte, the published one; it is not opened.
    """
    for name, expected in archives.items():
        path = folder / name
        if not path.is_file():
            continue
        if (got := _md5(path)) != expected:
            raise DataError(
                f"{path} has the MD5 {got}; expected {expected}: it is damaged or another file. Delete it, and put the "
                "published one there"
            )
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as opened:
                opened.extractall(folder)
        else:
            with tarfile.open(path) as bundle:
                bundle.extractall(folder, filter="data")


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
