"""Files that are complete or absent, and the folder of those that can be made again."""

import errno
import os
import secrets
import stat
from pathlib import Path

from platformdirs import user_cache_path


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file in one piece: a crash leaves the old file or the new one, never a part of one.

    Args:
        path: the file; its folder must exist.
        content: the bytes, or text that is stored as UTF-8.

    Raises:
        OSError: The disk is full, for one; it names the path.
    """
    # Random, because processes on several machines, which may have the same number, share a folder.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:  # a write that fails names no file
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def require_regular(path: Path) -> None:
    """Raises OSError unless a path, links followed, is a regular file: opening a FIFO or a device may wait for ever."""
    try:
        mode = os.stat(path).st_mode
    except ValueError as error:  # a NUL, or half of a surrogate pair
        raise OSError(errno.EINVAL, str(error), str(path)) from error
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def read_regular(path: Path) -> bytes:
    """The content of a regular file; OSError for anything else."""
    require_regular(path)
    return path.read_bytes()


def cache_folder() -> Path:
    """The user's cache folder for this package, on every platform where its users look for it; not created here.

    A relative XDG_CACHE_HOME is ignored, as its specification demands: the folder would be another one, and perhaps
    somebody else's, wherever the program starts.
    """
    path = user_cache_path("onchip", appauthor=False, opinion=False)
    return path if path.is_absolute() else Path.home() / ".cache" / "onchip"
