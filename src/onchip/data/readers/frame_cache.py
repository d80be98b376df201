"""Frames of recordings on disk, so that events are binned once."""

import contextlib
import hashlib
import io
import math
import os
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onchip._files import require_regular
from onchip.data.mapped import Mapped
from onchip.errors import DataError

CHUNK = 2**20
STALE = 3600.0
"""Seconds after which a part of a file that nobody writes to is removed."""


class FrameCache:
    """The frames of one data set in one .npy file, of which only those are read that a batch needs.

    Behind the array stands a SHA-256 of the whole file and the fingerprint, which numpy does not read.

    Args:
        path: The file; its folder is created when something is stored.
        fingerprint: Of the files that were binned and of how; another one is a miss.
        shape: (N, features...) of the array.
    """

    def __init__(self, path: Path, fingerprint: str, shape: tuple[int, ...]) -> None:
        self.path, self._shape = path, shape
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
        self._header, self._fingerprint = header.getvalue(), fingerprint.encode()

    def get(self) -> Mapped | None:
        """The frames that were stored under this fingerprint; None if there are none, or they are damaged.

        The recordings are still there to be binned, so a file that cannot be used is no error.
        """
        try:
            require_regular(self.path)
            with self.path.open("rb") as file:
                if file.read(len(self._header)) != self._header:
                    return None
                digest, left = hashlib.sha256(self._header), math.prod(self._shape)
                while chunk := file.read(min(CHUNK, left)):
                    digest.update(chunk)
                    left -= len(chunk)
                seal = self._seal(digest)
                if left or file.read() != seal:
                    return None
            return Mapped(self.path, len(self._header), self._shape, seal)
        except (OSError, DataError):
            return None

    def put(self, frames: Iterable[NDArray[np.uint8]]) -> None:
        """Store frames as they come, in one piece: whatever happens, there is the old file or the new one.

        Args:
            frames: N arrays of shape (features...), in order.

        Raises:
            OSError: The file cannot be written; it names the path.
        """
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._remove_stale()
            digest = hashlib.sha256(self._header)
            with temporary.open("wb") as file:
                file.write(self._header)
                for each in frames:
                    content = each.tobytes()
                    digest.update(content)
                    file.write(content)
                file.write(self._seal(digest))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
        except OSError as error:  # a write that fails names no file
            raise OSError(error.errno, error.strerror, str(self.path)) from error
        finally:
            temporary.unlink(missing_ok=True)

    def _remove_stale(self) -> None:
        """Parts of the file that a killed process has left; one that lives writes to its own all the time."""
        for part in self.path.parent.glob(f".{self.path.name}.*.part"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - part.stat().st_mtime > STALE:
                    part.unlink()

    def _seal(self, digest: "hashlib._Hash") -> bytes:
        whole = digest.copy()
        whole.update(self._fingerprint)
        return whole.hexdigest().encode() + self._fingerprint
