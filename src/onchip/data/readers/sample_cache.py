"""Samples that are made once, for all processes, and stored in a file."""

import errno
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from onchip.data.on_disk import OnDisk
from onchip.data.progress import report
from onchip.data.readers.sample_file import SampleFile, Samples
from onchip.data.room import host_room
from onchip.errors import DataError
from onchip.runs.lock import NO_LOCKS, holder, sign

POLL = 0.2
"""Seconds between two looks at what another process has written."""


class SampleCache:
    """The samples of one data set in a file, or in memory where it cannot be written.

    One process makes them, and others wait for it. What a changed source, a process that was killed or a bad disk leave
    behind is replaced.

    Args:
        path: The file; its folder is created when something is stored.
        fingerprint: 64 characters that say of which files the samples are made and how.
        count: Number of samples.
        what: What they are, in messages: "frames".
    """

    def __init__(self, path: Path, fingerprint: str, count: int, what: str) -> None:
        self.path, self._count, self._what = path, count, what
        self._file = SampleFile(path, fingerprint, count)

    def samples(self, pieces: Callable[[], Iterable[Samples]], *, again: bool = False) -> OnDisk | Tensor:
        """The samples: those that are stored, or else made and stored now.

        Args:
            pieces: Makes them: arrays (n, features...), together `count` samples.
            again: Make them in any case.

        Raises:
            DataError: They can neither be stored nor kept in memory.
        """
        stored = None if again else self._file.read()
        if stored is not None:
            return stored
        try:
            with self._alone() as alone:
                stored = None if again else self._file.read()  # another process may have made them meanwhile
                if stored is None:
                    self._file.remove_left(alone=alone)
                    self._file.write(pieces())
                    stored = self._file.read()
            if stored is None:
                raise OSError(errno.EIO, "the disk gives back something else", str(self.path))
            return stored
        except OSError as error:
            return self._in_memory(pieces, error)

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Wait until no other process makes these samples, and show how far it is.

        Yields:
            Whether there is a lock: not on some network file systems, where several may then do the same work.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.with_name(f".{self.path.name}.lock")
        lock = FileLock(file, thread_local=False, fallback_to_soft=False)
        while True:
            try:
                lock.acquire(blocking=False)
                break
            except Timeout:
                what = f"waiting for {holder(file)}, which stores {self._what} in {self.path}"
                report(what, self._file.written(), self._count)
                time.sleep(POLL)
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
                yield False
                return
        try:
            sign(file)
            yield True
        finally:
            lock.release()

    def _in_memory(self, pieces: Callable[[], Iterable[Samples]], reason: OSError) -> Tensor:
        samples, filled = torch.empty(0), 0
        for piece in pieces():
            if not filled:
                size, free = self._count * piece[0].nbytes, host_room()
                if size > free // 2:
                    raise DataError(
                        f"{self._what} could not be stored ({reason}), and they take {size / 1e9:.2f} GB, more than "
                        f"half of the memory that is free ({free / 1e9:.2f} GB). Free some disk space, or point "
                        "--data-root (ONCHIP_DATA) at a folder that you may write to and that has room for them"
                    ) from reason
                warnings.warn(
                    f"{self._what} could not be stored ({reason}); they stay in memory ({size / 1e9:.2f} GB), and "
                    "will be made again next time. Free some disk space, or point --data-root (ONCHIP_DATA) at a "
                    "folder that you may write to",
                    stacklevel=3,
                )
                samples = torch.empty(self._count, *piece.shape[1:], dtype=torch.uint8)
            samples[filled : filled + len(piece)] = torch.from_numpy(piece)
            filled += len(piece)
        return samples
