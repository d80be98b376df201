"""Labeled samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from onchip.data.on_disk import OnDisk
from onchip.data.sample_source import WHOLE, Part, SampleSource, share
from onchip.data.samples import IMAGES, SampleKind
from onchip.errors import RequestError

NO_TARGET = -1
"""The label of a time step at which the output has no target."""


@dataclass(frozen=True, eq=False)
class Split:
    """Labeled images, recordings or sequences.

    Images and recordings are stored as bytes, a quarter of the memory of floats. What lies beyond a sequence's length
    is padding, from which nothing is learned.

    Args:
        stored: (N, C, H, W) uint8 images, 0 dark to 255 bright; (N, F, C, H, W) uint8 recordings, numbers of events in
            F frames; or (N, T, features...) float32 or uint8 sequences. In memory, or in a file that is read where a
            batch needs it.
        labels: (N,) int64, index into the data set's `classes`; for sequences also (N, T), -1 at steps without a
            target, of one class per sample.
        kind: what the samples are: `IMAGES`, `RECORDINGS` or `SEQUENCES`.
        lengths: (N,) int64, time steps of each sequence, 1 to T; None where all have T.

    Raises:
        RequestError: a tensor of another type or shape, not one label per sample, a length out of range, or a sample
            without a target or with targets of several classes.

    Example:
        >>> len(Split(torch.zeros(5, 1, 8, 8, dtype=torch.uint8), torch.arange(5)))
        5
        >>> from onchip.data.samples import SEQUENCES
        >>> Split(torch.zeros(2, 9, 12), torch.arange(2), kind=SEQUENCES, lengths=torch.tensor([9, 4])).shape
        (12,)
    """

    stored: Tensor | OnDisk
    labels: Tensor
    kind: SampleKind = IMAGES
    lengths: Tensor | None = None

    def __post_init__(self) -> None:
        self._check_samples()
        self._check_labels()
        if self.lengths is not None:
            self._check_lengths(self.lengths)
        if self.labels.ndim == 2 and not self.labels.is_meta:
            self._check_targets()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def samples(self) -> Tensor:
        """All samples, in memory: a copy where they are in a file."""
        return self.stored if isinstance(self.stored, Tensor) else self.stored[:]

    @property
    def device(self) -> torch.device:
        """Where the samples are."""
        return self.stored.device

    @property
    def shape(self) -> tuple[int, ...]:
        """Features at one time step, the input of a network: (C, H, W) of images and recordings."""
        return tuple(self.stored.shape[self.kind.leading :])

    @property
    def batch_size(self) -> int | None:
        """Samples per batch: any number, so None."""
        return None

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of a sample as it is stored; of sequences that of the longest."""
        return tuple(self.stored.shape[1:])

    @property
    def steps(self) -> int | None:
        """Frames of a recording, F, or steps of the longest sequence, T; None for images."""
        return self.stored.shape[1] if self.kind.over_time else None

    @property
    def sample_labels(self) -> Tensor:
        """The class of each sample, (N,), also where labels are per time step."""
        return self.labels if self.labels.ndim == 1 else _per_step(self.labels, self.lengths).amax(1)

    def batch(self, index: Tensor | slice, part: Part = WHOLE) -> tuple[Tensor, Tensor]:
        """Samples as they are stored, and their labels in a loss's shape.

        Sequences are cut to the longest of the batch. With lengths, or labels per time step, the labels are per step,
        and -1 where there is no target.

        Args:
            index: (B,) int64 on the split's device, or a slice.
            part: (rank, size), whose `share` of the batch alone is read; its time steps are those of the whole batch.

        Returns:
            Samples (B, ...), and labels (B,) or (T, B).
        """
        labels = self.labels[index]
        lengths = None if self.lengths is None else self.lengths[index]
        longest = None if lengths is None or not len(lengths) else int(lengths.amax())
        if part != WHOLE:
            own, index = share(len(labels), part), self._own(index, part)
            labels, lengths = labels[own], None if lengths is None else lengths[own]
        samples = self.stored[index]
        if longest is not None:
            samples = samples[:, :longest]
        if labels.ndim == 1 and lengths is None:
            return samples, labels
        per_step = labels[:, None].expand(samples.shape[:2]) if labels.ndim == 1 else labels[:, : samples.shape[1]]
        return samples, _per_step(per_step, lengths).t().contiguous()

    def n_batches(self, batch_size: int) -> int:
        """Batches in a pass; the last one may be smaller."""
        return -(-len(self) // batch_size)

    def draw(
        self, batch_size: int, generator: torch.Generator | None, part: Part = WHOLE
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass in batches, as `batch` returns them.

        Args:
            batch_size: Samples per batch.
            generator: Of the order, on any device; None for the split's own order.
            part: (rank, size), whose `share` of each batch alone is read.
        """
        # What is on disk is chosen here, and what is on a GPU there: neither waits for the other.
        place = self.device if isinstance(self.stored, Tensor) else torch.device("cpu")
        order = None
        if generator is not None:
            order = torch.randperm(len(self), generator=generator, device=generator.device).to(place)
        for start in range(0, len(self), batch_size):
            chosen, following = (slice(begin, begin + batch_size) for begin in (start, start + batch_size))
            if isinstance(self.stored, OnDisk):  # reads the next batch beside the training step on this one
                self.stored.announce(self._own(following if order is None else order[following], part))
            yield self.batch(chosen if order is None else order[chosen], part)

    def to(self, device: torch.device | str) -> Split:
        """The same split on another device, moved once and whole."""
        lengths = None if self.lengths is None else self.lengths.to(device)
        return replace(self, stored=self.stored.to(device), labels=self.labels.to(device), lengths=lengths)

    def take(self, index: Tensor | slice) -> Split:
        """The samples at `index`, (M,) int64, in that order; those of a slice without a copy."""
        lengths = None if self.lengths is None else self.lengths[index]
        stored = self.stored[index] if isinstance(self.stored, Tensor) else self.stored.select(index)
        return replace(self, stored=stored, labels=self.labels[index], lengths=lengths)

    def _own(self, index: Tensor | slice, part: Part) -> Tensor | slice:
        """The share of a part in a batch of these samples."""
        if isinstance(index, Tensor):
            return index[share(len(index), part)]
        chosen = range(*index.indices(len(self)))
        chosen = chosen[share(len(chosen), part)]
        return slice(chosen.start, chosen.stop, chosen.step)

    def _check_samples(self) -> None:
        samples, kind = self.stored, self.kind
        if samples.ndim not in kind.dimensions or samples.dtype not in kind.dtypes:
            raise RequestError(
                f"Split got {kind.name} {tuple(samples.shape)} {samples.dtype}; expected {kind.axes} "
                f"{' or '.join(map(str, kind.dtypes))}. {kind.remedy}"
            )
        if not isinstance(samples, Tensor) or samples.is_meta or not samples.is_floating_point():
            return
        if not bool(samples.isfinite().all()):
            raise RequestError(f"Split got {kind.name} with NaN or infinity; expected finite numbers. Correct the data")

    def _check_labels(self) -> None:
        samples, labels, kind = self.stored, self.labels, self.kind
        if labels.ndim not in ((1, 2) if kind.own_steps else (1,)) or labels.dtype != torch.int64:
            per_step = " or (N, T)" if kind.own_steps else ""
            raise RequestError(
                f"Split got labels {tuple(labels.shape)} {labels.dtype}; expected (N,){per_step} torch.int64. "
                "Convert them with labels.long()"
            )
        if len(samples) != len(labels):
            raise RequestError(
                f"Split got {len(samples)} {kind.name} and {len(labels)} labels; expected one label per sample"
            )
        if labels.ndim == 2 and labels.shape[1] != samples.shape[1]:
            raise RequestError(
                f"Split got labels of {labels.shape[1]} steps for sequences of {samples.shape[1]}; expected (N, T)"
            )
        if samples.device != labels.device:
            raise RequestError(
                f"Split got {kind.name} on {samples.device} and labels on {labels.device}; expected one device"
            )

    def _check_lengths(self, lengths: Tensor) -> None:
        if not self.kind.own_steps:
            raise RequestError(f"Split got lengths for {self.kind.name}; expected none. Pass kind=SEQUENCES")
        if lengths.shape != (len(self.labels),) or lengths.dtype != torch.int64 or lengths.device != self.device:
            raise RequestError(
                f"Split got lengths {tuple(lengths.shape)} {lengths.dtype} on {lengths.device}; expected "
                f"({len(self.labels)},) torch.int64 on {self.device}, one length per sequence"
            )
        longest = self.stored.shape[1]
        if not lengths.is_meta and bool((wrong := (lengths < 1) | (lengths > longest)).any()):
            at = int(wrong.nonzero()[0])
            raise RequestError(
                f"Split got a length of {int(lengths[at])} for sequence {at}; expected 1 to {longest} time steps. "
                "Leave empty sequences out"
            )

    def _check_targets(self) -> None:
        """Labels per step: at least one target per sample, and all of one class."""
        labels = _per_step(self.labels, self.lengths)
        target = labels != NO_TARGET
        for wrong, said in (
            (~target.any(1), "no target at any time step"),
            ((target & (labels != labels.amax(1, keepdim=True))).any(1), "targets of several classes"),
        ):
            if bool(wrong.any()):
                at = int(wrong.nonzero()[0])
                raise RequestError(
                    f"Split got {said} of sequence {at}; expected one class at one step or more, and -1 at the others"
                )


def _per_step(labels: Tensor, lengths: Tensor | None) -> Tensor:
    """Labels (N, T) with no target beyond the length of a sequence."""
    if lengths is None:
        return labels
    within = torch.arange(labels.shape[1], device=labels.device) < lengths[:, None]
    return torch.where(within, labels, NO_TARGET)


if TYPE_CHECKING:
    Samples = Split  # whoever loads a data set by name knows that its splits are those of its files
else:
    Samples = SampleSource
"""A split of a data set: a `Split`, or a stream where a user's loader brings the samples."""
