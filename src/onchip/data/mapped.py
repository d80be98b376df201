"""Samples in a file, which is mapped into memory and read where batches need it."""

from __future__ import annotations

import math
import mmap
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor

from onchip.errors import DataError


@final
class Mapped:
    """Some rows of a file of samples, (N, features...) uint8. It is pickled as the file's path and the rows.

    Args:
        path: The file: a header, the samples, and last the seal.
        start: Length of the header, bytes.
        shape: Of all samples in the file, (M, features...).
        seal: The last bytes of the file, by which it is recognized.
        rows: (N,) int64, the chosen samples; None for all.

    Raises:
        DataError: The file cannot be mapped, or is another one than before.
    """

    dtype = torch.uint8
    device = torch.device("cpu")

    def __init__(self, path: Path, start: int, shape: tuple[int, ...], seal: bytes, rows: Tensor | None = None) -> None:
        self._file = (path, start, shape, seal)
        try:
            with path.open("rb") as file:
                # Copy on write, because torch takes no memory that cannot be written; the file never changes.
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be mapped into memory: {error}. Start again; it is made again") from error
        size = math.prod(shape)
        if len(content) != start + size + len(seal) or content[-len(seal) :] != seal:
            raise DataError(f"{path} is no longer the file that was read. Start again, while no data file changes")
        samples = np.frombuffer(content, dtype=np.uint8, count=size, offset=start)
        self._init(torch.from_numpy(samples).view(shape), torch.arange(shape[0]) if rows is None else rows)

    def _init(self, samples: Tensor, rows: Tensor) -> None:
        self._samples, self._rows = samples, rows

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def shape(self) -> torch.Size:
        """(N, features...)."""
        return torch.Size((len(self), *self._samples.shape[1:]))

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._samples.ndim

    def __getitem__(self, index: slice | Tensor) -> Tensor:
        """The samples at an index, (B, features...) uint8: a copy in memory."""
        return self._samples[self._rows[index]]

    def select(self, index: Tensor) -> Mapped:
        """The samples at an index, still in the file."""
        chosen = object.__new__(Mapped)
        chosen._file = self._file
        chosen._init(self._samples, self._rows[index])
        return chosen

    def to(self, device: torch.device | str) -> Mapped | Tensor:
        """The same on the CPU; a copy of all samples on any other device."""
        return self if torch.device(device).type == "cpu" else self[:].to(device)

    def __reduce__(self) -> tuple[object, ...]:
        return Mapped, (*self._file, self._rows)
