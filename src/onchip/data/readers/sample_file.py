"""A file of samples: an array that numpy reads, too, and behind it what tells whether it is the right one and whole."""

import contextlib
import errno
import hashlib
import io
import math
import os
import shutil
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from onchip._files import require_regular
from onchip.data.on_disk import OnDisk
from onchip.data.progress import report
from onchip.errors import DataError

CHUNK = 2**20
STALE = 3600.0
"""Seconds after which a part that nobody writes to is removed, where its writer cannot be asked."""

HEADER = 128
"""Bytes of the header of a .npy file of up to nine axes; numpy reads no more than it says."""
DIGEST = 64
STAMP = 40

Samples = NDArray[np.uint8]


class SampleFile:
    """The samples of one data set in a .npy file, behind them a seal (a SHA-256 of all, and a fingerprint) and a stamp.

    The SHA-256 of the content is compared when the file is not, by inode and time of change, the one whose stamp it
    carries: after a copy, a change, or damage. A start so reads nothing but header and seal.

    Args:
        path: The file; its folder is created when something is stored.
        fingerprint: 64 characters that say of which files the samples were made and how; another one is a miss.
        count: Number of samples.
    """

    def __init__(self, path: Path, fingerprint: str, count: int) -> None:
        self.path, self._count = path, count
        self._fingerprint = fingerprint.encode()

    def read(self) -> OnDisk | None:
        """The samples that were stored under this fingerprint; None if there are none, or they are damaged.

        What they were made of is still there, so a file that cannot be used is no error.
        """
        try:
            require_regular(self.path)
            with self.path.open("rb") as file:
                shape = _shape(header := file.read(HEADER))
                if shape is None or shape[0] != self._count:
                    return None
                file.seek(HEADER + math.prod(shape))
                seal, stamp, end = file.read(DIGEST + len(self._fingerprint)), file.read(STAMP), file.read(1)
                if seal[DIGEST:] != self._fingerprint or len(stamp) != STAMP or end:
                    return None
                if stamp != _stamp(os.fstat(file.fileno())):
                    file.seek(HEADER)
                    if self._seal(self._digest(file, header, math.prod(shape))) != seal:
                        return None
                    with contextlib.suppress(OSError):  # a folder that may only be read: compared at each start
                        _write_stamp(self.path, os.fstat(file.fileno()).st_ino)
            return OnDisk(self.path, HEADER, shape, seal)
        except (OSError, DataError):
            return None

    def write(self, pieces: Iterable[Samples]) -> None:
        """Store samples as they come, in one piece: whatever happens, there is the old file or the new one.

        Args:
            pieces: Arrays (n, features...), together `count` samples.

        Raises:
            OSError: The file cannot be written, or there is no room for it; it names the path.
        """
        part = self.path.with_name(f".{self.path.name}.{_host()}.{os.getpid()}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            digest = None
            with part.open("wb") as file:
                for piece in pieces:
                    if digest is None:
                        header = _header((self._count, *piece.shape[1:]))
                        _require_space(self.path, self._count * piece[0].nbytes)
                        digest = hashlib.sha256(header)
                        file.write(header)
                    content = np.ascontiguousarray(piece).data
                    digest.update(content)
                    file.write(content)
                assert digest is not None, "there is at least one sample"
                file.write(self._seal(digest) + bytes(STAMP))
                file.flush()
                _write_stamp(part, os.fstat(file.fileno()).st_ino)
                os.fsync(file.fileno())
            os.replace(part, self.path)
        except OSError as error:  # a write that fails names no file
            raise OSError(error.errno, error.strerror, str(self.path)) from error
        finally:
            part.unlink(missing_ok=True)

    def written(self) -> int:
        """Number of samples that another process has written so far."""
        with contextlib.suppress(OSError, ValueError):  # it may end meanwhile
            part = max(self._parts(), key=lambda path: path.stat().st_mtime)
            with part.open("rb") as file:
                shape = _shape(file.read(HEADER))
            if shape is not None:
                return min(self._count, max(0, part.stat().st_size - HEADER) // math.prod(shape[1:]))
        return 0

    def remove_left(self, *, alone: bool) -> None:
        """Remove parts of the file that a killed process has left.

        Args:
            alone: Whether no other process of this machine can be writing.
        """
        for part in self._parts():
            with contextlib.suppress(OSError):
                ours = alone and part.name.startswith(f".{self.path.name}.{_host()}.")
                if ours or time.time() - part.stat().st_mtime > STALE:
                    part.unlink()

    def _parts(self) -> list[Path]:
        begin = f".{self.path.name}."
        with os.scandir(self.path.parent) as entries:
            return [Path(each.path) for each in entries if each.name.startswith(begin) and each.name.endswith(".part")]

    def _digest(self, file: BinaryIO, header: bytes, size: int) -> "hashlib._Hash":
        digest, done = hashlib.sha256(header), 0
        while chunk := file.read(min(CHUNK, size - done)):
            digest.update(chunk)
            done += len(chunk)
            report(f"{self.path.name}: MiB compared with their SHA-256", done // CHUNK, size // CHUNK)
        return digest

    def _seal(self, digest: "hashlib._Hash") -> bytes:
        whole = digest.copy()
        whole.update(self._fingerprint)
        return whole.hexdigest().encode() + self._fingerprint


def _header(shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    assert header.tell() == HEADER
    return header.getvalue()


def _shape(header: bytes) -> tuple[int, ...] | None:
    """The shape in a header that `_header` made; None for any other one."""
    content = io.BytesIO(header)
    try:
        np.lib.format.read_magic(content)
        shape, _, _ = np.lib.format.read_array_header_1_0(content, max_header_size=HEADER)
        return shape if len(shape) > 1 and math.prod(shape) > 0 and _header(shape) == header else None
    except Exception:  # of a header that is none, numpy's parsers raise types of many kinds
        return None


def _stamp(stat: os.stat_result) -> bytes:
    return f"{stat.st_ino:020d}{stat.st_mtime_ns:020d}".encode()


def _write_stamp(path: Path, inode: int) -> None:
    """Let the end of a file carry its inode and time of change.

    The time is in the past, so that no later change has the same, and in steps of two seconds, which every file system
    keeps as they are.
    """
    with path.open("r+b", buffering=0) as file:
        if os.fstat(file.fileno()).st_ino != inode:
            return  # another process has replaced the file
        moment = (int(time.time()) // 2 - 5) * 2 * 10**9
        file.seek(-STAMP, os.SEEK_END)
        file.write(f"{inode:020d}{moment:020d}".encode())
        os.utime(file.fileno(), ns=(moment, moment))


def _require_space(path: Path, size: int) -> None:
    """Raises OSError where a disk has no room for a file: hours before it is full."""
    free = shutil.disk_usage(path.parent).free
    if size > free:
        raise OSError(errno.ENOSPC, f"No space left on device: {size / 1e9:.2f} GB are needed, {free / 1e9:.2f} free")


def _host() -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in socket.gethostname())[:64] or "host"
