"""Samples in a file, of which batches read what they need."""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor

from onchip.data.room import device_room
from onchip.errors import DataError

PIECE = 2**26
"""Bytes that are copied to a device at a time."""


@final
class OnDisk:
    """Some rows of a file of samples, (N, features...) uint8. It is pickled as the file's path and the rows.

    Rows are read from the file at each access rather than mapped into memory: a mapped page that was touched counts as
    resident memory, each costs a fault, and a file that is cut short ends the process. Measured (benchmarks/folder.py):
    batches come as fast as from memory while the system's page cache holds the file.

    Args:
        path: The file: a header, the samples, and then the seal.
        start: Length of the header, bytes.
        shape: Of all samples in the file, (M, features...).
        seal: What follows the samples, by which the file is recognized.
        rows: (N,) int64 on the CPU, the chosen samples; None for all.
        device: Where the samples go that are read.

    Raises:
        DataError: The file cannot be read, or is another one than before.
    """

    dtype = torch.uint8

    def __init__(
        self,
        path: Path,
        start: int,
        shape: tuple[int, ...],
        seal: bytes,
        rows: Tensor | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self._file = _File(path, start, shape, seal)
        self._whole = rows is None
        self._rows = torch.arange(shape[0]) if rows is None else rows
        self.device = torch.device(device)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def shape(self) -> torch.Size:
        """(N, features...)."""
        return torch.Size((len(self), *self._file.shape[1:]))

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._file.shape)

    @property
    def identity(self) -> str:
        """What tells these samples from others: the file's seal."""
        return self._file.seal.hex()

    def __getitem__(self, index: slice | Tensor) -> Tensor:
        """The samples at an index, (B, features...) uint8, on `device`.

        Raises:
            DataError: The file cannot be read any more.
        """
        rows = self._at(index)
        pinned = self.device.type == "cuda"  # which lets a copy run beside the GPU's work
        samples = torch.empty(len(rows), *self._file.shape[1:], dtype=torch.uint8, pin_memory=pinned)
        self._file.read(rows, samples)
        return samples.to(self.device, non_blocking=True)

    def announce(self, index: slice | Tensor) -> None:
        """Let the system read the samples at an index into its page cache meanwhile; returns at once."""
        self._file.announce(self._at(index))

    def select(self, index: slice | Tensor) -> OnDisk:
        """The samples at an index, still in the file."""
        return self._with(self._at(index), self.device)

    def to(self, device: torch.device | str, room: int | None = None) -> OnDisk | Tensor:
        """The same samples for another device: copied there if they are few, else read batch by batch as before.

        Args:
            device: The device.
            room: Bytes that they may take there; None for a quarter of the memory that is free.
        """
        device = torch.empty(0, device=device).device  # with the number of a GPU, as tensors there have it
        size = len(self) * self._file.row
        if device.type == "cpu" or size > (device_room(device) // 4 if room is None else room):
            return self._with(self._rows, device)
        samples, step = torch.empty(self.shape, dtype=torch.uint8, device=device), max(1, PIECE // self._file.row)
        here = self._with(self._rows, torch.device("cpu"))
        for begin in range(0, len(self), step):
            samples[begin : begin + step] = here[begin : begin + step].to(device)
        return samples

    def __reduce__(self) -> tuple[object, ...]:
        rows = None if self._whole else self._rows.clone()  # a view would be pickled with all that it is a view of
        return OnDisk, (self._file.path, self._file.start, self._file.shape, self._file.seal, rows, self.device)

    def _at(self, index: slice | Tensor) -> Tensor:
        return self._rows[index if isinstance(index, slice) else index.cpu()]

    def _with(self, rows: Tensor, device: torch.device) -> OnDisk:
        chosen = object.__new__(OnDisk)
        chosen._file, chosen._rows, chosen.device = self._file, rows, device
        chosen._whole = self._whole and rows is self._rows
        return chosen


class _File:
    """A file of samples that stays open: what replaces it at its path does not change what is read."""

    def __init__(self, path: Path, start: int, shape: tuple[int, ...], seal: bytes) -> None:
        self.path, self.start, self.shape, self.seal = path, start, shape, seal
        self.row = math.prod(shape[1:])
        end = start + shape[0] * self.row
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a FIFO must not be waited for
            weakref.finalize(self, os.close, self._descriptor)
            found = os.pread(self._descriptor, len(seal), end)
        except OSError as error:
            raise DataError(
                f"{path} cannot be read: {error.strerror}. Start again, which makes it again; other machines must find "
                "it at the same path"
            ) from error
        if found != seal:
            raise DataError(f"{path} is no longer the file that was read. Start again, while no data file changes")
        if hasattr(os, "posix_fadvise"):  # batches are drawn at random: what lies behind a sample is not needed
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_RANDOM)

    def read(self, rows: Tensor, samples: Tensor) -> None:
        """Read rows, (B,), into a contiguous tensor (B, features...)."""
        if not samples.numel():
            return
        content = samples.view(-1).numpy().data
        for begin, end, row in _runs(rows):
            self._fill(content[begin * self.row : end * self.row], self.start + row * self.row)

    def announce(self, rows: Tensor) -> None:
        """Tell the system which rows, (B,), will be read."""
        if hasattr(os, "posix_fadvise"):
            for begin, end, row in _runs(rows):
                place, length = self.start + row * self.row, (end - begin) * self.row
                os.posix_fadvise(self._descriptor, place, length, os.POSIX_FADV_WILLNEED)

    def _fill(self, content: memoryview, place: int) -> None:
        while content:
            try:
                count = os.preadv(self._descriptor, (content,), place)
            except OSError as error:
                raise DataError(
                    f"{self.path} cannot be read: {error.strerror}. Check the disk, delete the file and start again"
                ) from error
            if not count:
                raise DataError(f"{self.path} was cut short while it was read. Delete it and start again")
            content, place = content[count:], place + count


def _runs(rows: Tensor) -> Iterator[tuple[int, int, int]]:
    """Where rows that lie one behind the other begin and end in (B,), and the first of them."""
    if not len(rows):
        return iter(())
    numbers = rows.numpy()
    begins = np.flatnonzero(np.diff(numbers, prepend=-2) != 1)
    ends = np.append(begins[1:], len(numbers))
    return zip(begins.tolist(), ends.tolist(), numbers[begins].tolist(), strict=True)
