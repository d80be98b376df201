"""Pictures in one folder per class, listed in little memory."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from onchip.errors import DataError


@dataclass(frozen=True)
class ClassFolder:
    """The pictures of one class. Their names are one block of bytes: objects for a million would take gigabytes.

    Args:
        path: The folder.
        names: Names of its files, in order, with a NUL between them.
        count: How many there are.
    """

    path: Path
    names: bytes
    count: int

    def files(self) -> Iterator[Path]:
        """The pictures, in order of their names."""
        for name in self.names.split(b"\0"):
            yield self.path / os.fsdecode(name)


def list_classes(base: Path, digest: hashlib._Hash) -> list[ClassFolder]:
    """The classes in a folder, in order of name. No file is opened.

    Args:
        base: The folder.
        digest: Is updated by the name, size and time of change of every file.

    Raises:
        DataError: Something is no folder, or in a class no file; a class is empty, or there are fewer than two.
    """
    classes = []
    for entry in sorted(visible(base), key=lambda entry: entry.name):
        if not entry.is_dir():
            raise DataError(f"{entry.path} lies outside any class; expected only folders here, one per class. Move it")
        classes.append(_list_class(Path(entry.path), digest))
    if len(classes) < 2:
        raise DataError(
            f"{base} holds {len(classes)} class folders; expected at least 2. Give the folder that holds one "
            "folder per class, or train and test"
        )
    return classes


def _list_class(folder: Path, digest: hashlib._Hash) -> ClassFolder:
    found = []
    for entry in visible(folder):
        try:
            status = entry.stat()
        except OSError as error:  # a link to nothing, or one that was removed just now
            raise DataError(f"{entry.path} cannot be read: {error.strerror}. Move it elsewhere") from error
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{entry.path} is no file; expected only pictures in a class folder. Move it elsewhere")
        found.append((entry.name, status.st_size, status.st_mtime_ns))
    if not found:
        raise DataError(f"{folder} holds no picture; expected at least one. Fill or remove the folder")
    found.sort()
    digest.update(os.fsencode(f"{folder.name}\0{len(found)}\0"))
    digest.update(os.fsencode("".join(f"{name}\0{size}\0{time}\0" for name, size, time in found)))
    return ClassFolder(folder, os.fsencode("\0".join(name for name, _, _ in found)), len(found))


def visible(base: Path) -> Iterator[os.DirEntry[str]]:
    """Entries of a folder that are not hidden.

    Raises:
        DataError: It cannot be read.
    """
    try:
        with os.scandir(base) as entries:
            yield from (entry for entry in entries if not entry.name.startswith("."))
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{base} cannot be read: {reason}. Give a folder that exists and that you may read") from error
