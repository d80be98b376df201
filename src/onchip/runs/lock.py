"""A lock on a run directory, which the operating system releases when its holder ends, however it ends."""

import contextlib
import errno
import os
import socket
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock, Timeout

from onchip.errors import RequestError

LOCK = ".lock"
NO_LOCKS = errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP
"""What some network file systems answer. Others, such as NFS, lock for all machines that have mounted them."""


class DirectoryLock:
    """The lock of a directory; one process has it at a time.

    The file stays when the lock is released: a file that is deleted and made anew could be locked by two.

    Args:
        directory: The directory, which must exist.

    Raises:
        RequestError: Another process has the lock, or the file system has no locks.
        OSError: The directory cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        file = directory / LOCK
        self._lock = FileLock(file, thread_local=False, fallback_to_soft=False)
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise RequestError(
                f"{directory} is in use by {holder(file)}; wait until it ends, end it, or choose another --out"
            ) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            raise RequestError(
                f"{directory} is on a file system without locks ({error.strerror}): two processes could write at "
                "once; choose another --out"
            ) from error
        sign(file)

    def __enter__(self) -> "DirectoryLock":
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def sign(file: Path) -> None:
    """Write into the file of a lock who holds it."""
    since = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with contextlib.suppress(OSError):  # a full disk: whoever is refused learns less
        file.write_text(f"process {os.getpid()} on {socket.gethostname()} since {since}\n", encoding="utf-8")


def holder(file: Path) -> str:
    """Who holds a lock, by what is in its file."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return file.read_text(encoding="utf-8").strip() or "another process"
    return "another process"
