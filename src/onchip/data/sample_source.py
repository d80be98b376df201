"""What training takes: labeled samples in batches, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from onchip.data.samples import SampleKind

Part = tuple[int, int]
"""One of several processes that share each batch: its rank, counted from 0, and their number."""

WHOLE: Part = (0, 1)
"""One process that takes whole batches."""


def share(count: int, part: Part) -> slice:
    """Which samples of a batch of `count` a rank takes: contiguous, and the first ranks one more where it is uneven.

    Example:
        >>> [share(5, (rank, 3)) for rank in range(3)]
        [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    rank, size = part
    least, more = divmod(count, size)
    start = rank * least + min(rank, more)
    return slice(start, start + least + (rank < more))


class SampleSource(Protocol):
    """Labeled samples that training takes: a `Split`, or a stream of a loader's batches."""

    @property
    def batch_size(self) -> int | None:
        """Samples per batch where the source decides on that; None where it takes any number."""

    @property
    def kind(self) -> SampleKind:
        """What the samples are."""

    @property
    def device(self) -> torch.device:
        """Where batches are."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Features at one time step, the input of a network."""

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of a sample; of sequences that of the longest."""

    @property
    def sample_labels(self) -> Tensor:
        """The class of each sample, (N,)."""

    @property
    def steps(self) -> int | None:
        """Frames of a recording, or steps of the longest sequence; None for images."""

    def __len__(self) -> int: ...

    def n_batches(self, batch_size: int) -> int:
        """Batches in a pass."""

    def draw(
        self, batch_size: int, generator: torch.Generator | None, part: Part = WHOLE
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass: stored samples (B, ...) and labels (B,) or (T, B), in an order of the generator or their own.

        With a `part` of (rank, size), of each batch the `share` of that rank, which may be empty.
        """

    def to(self, device: torch.device | str) -> SampleSource:
        """The same samples on another device."""

    def take(self, index: Tensor) -> SampleSource:
        """The samples at `index`, (M,) int64, in that order."""
