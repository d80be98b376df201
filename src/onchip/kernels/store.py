"""Compiled libraries on disk: only what this user has built, and only whole, is ever loaded.

A shared library runs code when it is loaded. So the folder and the file must belong to this user, and nobody else may
write to them. The file's name holds a digest of its content, because the loader crashes on a library that was cut
short instead of returning an error.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from onchip._files import cache_folder


class UntrustedError(Exception):
    """Others could have put a library into the folder; the message says why, and what to do."""


def folder() -> Path:
    """The folder of built libraries, in the user's cache folder; not created here."""
    return cache_folder() / "compiled"


def opened() -> Path:
    """The folder, created for this user alone where it is missing.

    Raises:
        UntrustedError: Others may write to the folder, or replace it.
        OSError: The folder cannot be created.
    """
    place = folder()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.mkdir(mode=0o700, exist_ok=True)
    place = place.resolve()
    if not _is_private(place.stat()):
        raise UntrustedError(f"{place} belongs to another user, or others may write to it. Remove it{_ELSEWHERE}")
    for parent in place.parents if os.name == "posix" else ():
        mode = parent.stat().st_mode
        # In a folder such as /tmp, the sticky bit keeps users from replacing each other's files.
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise UntrustedError(f"everybody may write to {parent}, and replace {place}. Run chmod o-w{_ELSEWHERE}")
    return place


def kept(name: str) -> Iterator[Path]:
    """The intact libraries that were kept under a name, of which there is one as a rule.

    Raises:
        UntrustedError: Others may write to the folder, or replace it.
        OSError: The folder cannot be created or read.
    """
    return (path for path in sorted(opened().glob(f"{name}-*.so")) if _is_intact(path))


def keep(library: Path, name: str) -> Path:
    """Moves a library into the folder, whole or not at all.

    Args:
        library: The file, on the folder's file system.
        name: The name to keep it under, which names what it was built from.

    Returns:
        Its new path.
    """
    path = opened() / f"{name}-{_digest(library)}.so"
    library.chmod(0o700)
    os.replace(library, path)
    return path


_ELSEWHERE = ", or set XDG_CACHE_HOME to a folder of your own"


def _is_intact(path: Path) -> bool:
    """Whether a file is this user's own, and its content is what its name says."""
    status = path.lstat()
    return stat.S_ISREG(status.st_mode) and _is_private(status) and path.stem.endswith(f"-{_digest(path)}")


def _is_private(status: os.stat_result) -> bool:
    """Whether a file or folder is this user's, and nobody else may write to it; the mode says so on POSIX only."""
    others = stat.S_IWGRP | stat.S_IWOTH
    return os.name != "posix" or (status.st_uid == os.geteuid() and not status.st_mode & others)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
