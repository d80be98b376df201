"""Samples that a loader brings batch by batch, of which no more than a batch is in memory."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from onchip.data.sample_source import WHOLE, Part
from onchip.data.samples import SampleKind
from onchip.data.split import Split
from onchip.data.tensors import tensor_split
from onchip.errors import DataError, RequestError
from onchip.runs.user_function import blamed

READ = 64
"""Samples per batch of the pass that reads all samples once."""


class Loader(Protocol):
    """Reads samples in batches, as often as it is asked to."""

    def batches(self, batch_size: int, *, shuffled: bool) -> Iterable[Any]:
        """One pass; a loader may have a batch size and an order of its own."""

    def select(self, index: Tensor) -> Loader | None:
        """A loader of the samples at `index`, (M,) int64; None where it cannot choose."""

    def batch_size(self, largest: int) -> int | None:
        """Samples per batch, where the loader decides on that; None where it takes any.

        Args:
            largest: Samples of the largest batch that it brought.
        """


@dataclass(frozen=True, eq=False)
class Stream:
    """Samples of a loader. `read_once` makes it; the facts below are those that it has met.

    Torch's draws in a pass (order, random changes to samples) come from a seed, which is drawn from the generator of
    the pass: every rule meets the same batches, and a resumed run those of the run without an interruption. Draws of
    other generators, such as NumPy's, are the loader's own.

    Args:
        name: What it is called in messages.
        file: The user's file, whose line is named if code in it fails.
        loader: Reads the samples.
        kind: What the samples are.
        sample_shape: Shape of a sample, of sequences that of the longest.
        sample_labels: (N,) classes of the samples.
        batches: Number of batches in which they came.
        batch_size: Samples per batch, where the loader decides on that; None where it takes any.
        device: Where batches go.
    """

    name: str
    file: Path | None
    loader: Loader
    kind: SampleKind
    sample_shape: tuple[int, ...]
    sample_labels: Tensor
    batches: int
    batch_size: int | None
    device: torch.device = field(default_factory=partial(torch.device, "cpu"))

    def __len__(self) -> int:
        return len(self.sample_labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """Features at one time step, the input of a network."""
        return self.sample_shape[self.kind.leading - 1 :]

    @property
    def steps(self) -> int | None:
        """Steps of the longest sequence; None for images."""
        return self.sample_shape[0] if self.kind.over_time else None

    def to(self, device: torch.device | str) -> Stream:
        """The same samples, whose batches go to another device."""
        return dataclasses.replace(self, device=torch.device(device))

    def take(self, index: Tensor) -> Stream:
        """The samples at `index`, (M,) int64.

        Raises:
            RequestError: The loader cannot choose samples.
        """
        loader = self.loader.select(index)
        if loader is None:
            raise RequestError(
                f"{self.name} cannot be divided, because a loader brings it; give validation samples of its own, as in "
                "(train, validation, test), or none (validation 0, and no train size)"
            )
        return dataclasses.replace(self, loader=loader, sample_labels=self.sample_labels[index])

    def n_batches(self, batch_size: int) -> int:
        """Batches in a pass."""
        return self.batches if self.batch_size is not None else math.ceil(len(self) / batch_size)

    def draw(
        self, batch_size: int, generator: torch.Generator | None, part: Part = WHOLE
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass: samples as they come, and their labels, as `Split.batch` has them.

        Args:
            batch_size: Samples per batch, for loaders that take any.
            generator: Of the order; None for the order of the samples.
            part: (rank, size), whose `share` of each batch is returned. Every rank reads all samples, because what a
                loader draws for one depends on those that it has read before.

        Raises:
            DataError: The loader fails, its samples are of another kind or shape than before or have wrong labels, or
                it brings more or fewer of them.
        """
        seed = 0 if generator is None else int(torch.randint(2**62, (), generator=generator, device=generator.device))
        classes, met = int(self.sample_labels.max()) + 1, 0
        batches = self.loader.batches(batch_size, shuffled=generator is not None)
        for split in read(self.name, self.file, batches, seed):
            if (split.kind, split.shape) != (self.kind, self.shape):
                raise DataError(
                    f"{self.name} brought {split.kind.name} of {split.shape}; expected {self.kind.name} of "
                    f"{self.shape}, as in the pass before training"
                )
            if int(split.sample_labels.max()) >= classes:
                raise DataError(
                    f"{self.name} brought the label {int(split.sample_labels.max())}; in the pass before training, "
                    f"labels were below {classes}"
                )
            met += len(split)
            samples, labels = split.batch(slice(None), part)
            yield samples.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
        if met != len(self):
            raise DataError(
                f"{self.name} brought {met} samples, but {len(self)} in the pass before training; expected as many in "
                "each pass. A loader must be one that can be read again and again"
            )


def read_once(name: str, file: Path | None, loader: Loader) -> Stream:
    """The stream of a loader, of which all samples are read once and checked, without being kept.

    Args:
        name: As for `Stream`.
        file: As for `Stream`.
        loader: As for `Stream`.

    Raises:
        RequestError: It has no samples.
        DataError: It fails, or its samples are wrong.
    """
    labels, shapes, kinds, sizes = [], set(), set(), []
    longest: tuple[int, ...] = ()
    for split in read(name, file, loader.batches(READ, shuffled=False), seed=0):
        labels.append(split.sample_labels)
        kinds.add(split.kind)
        shapes.add(split.shape)
        longest = max(longest, split.sample_shape)
        sizes.append(len(split))
    if not labels or sum(sizes) == 0:
        raise RequestError("it has no samples; expected at least one")
    if len(kinds) > 1 or len(shapes) > 1:
        names, several = sorted(kind.name for kind in kinds), sorted(map(str, shapes))
        raise RequestError(
            f"it has {' and '.join(names)} of {' and '.join(several[:3])}; expected samples of one shape"
        )
    batch_size = loader.batch_size(max(sizes))
    return Stream(name, file, loader, kinds.pop(), longest, torch.cat(labels), len(sizes), batch_size)


def read(name: str, file: Path | None, loader: Iterable[Any], seed: int) -> Iterator[Split]:
    """The batches of a loader, each checked as a split is. Torch's draws meanwhile come from a seed.

    Raises:
        DataError: The loader fails, or a batch is wrong.
    """
    for part in (loader, getattr(loader, "sampler", None)):  # a DataLoader and samplers may have a generator
        generator = getattr(part, "generator", None)
        if isinstance(generator, torch.Generator):
            generator.manual_seed(seed)
    batches, state = None, torch.Generator().manual_seed(seed).get_state()
    for number in itertools.count(1):
        before = torch.get_rng_state()
        torch.set_rng_state(state)
        try:
            with blamed(name, file, DataError):
                batches = iter(loader) if batches is None else batches
                batch = next(batches, None)
        finally:
            state = torch.get_rng_state()
            torch.set_rng_state(before)
        if batch is None:
            return
        try:
            if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
                raise RequestError(f"it is a {type(batch).__name__}; expected (inputs, labels)")
            yield tensor_split(*batch)
        except RequestError as error:
            raise DataError(f"{name}, batch {number}: {error}") from error
