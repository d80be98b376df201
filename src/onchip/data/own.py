"""A user's own samples: from tensors, a torch `Dataset` or a `DataLoader` to what training takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from typing import Any, cast

from torch import Tensor
from torch.utils import data as torch_data

from onchip.data.dataset import Dataset
from onchip.data.sample_source import SampleSource
from onchip.data.source import RawSplits
from onchip.data.split import Samples, Split
from onchip.data.stream import Stream, read_once
from onchip.data.tensors import tensor_split
from onchip.errors import RequestError

FORMS = "a torch Dataset, a DataLoader, an onchip.data.Split, or (inputs, labels)"
SETS = "an onchip.data.Dataset, (train, test), or (train, validation, test)"

MOST = 100_000
"""Classes at most, so that a wrong label does not take all memory."""


def own_splits(returned: Any, name: str, file: Path | None = None) -> RawSplits:
    """A data set in any form that a user has it in; each split that is not in memory is read once.

    Args:
        returned: An `onchip.data.Dataset`; or (train, test) or (train, validation, test), each of them a torch
            `Dataset`, a `DataLoader`, a `Split`, or a pair of tensors (inputs, labels).
        name: What it is called in messages.
        file: The user's file, whose line is named if code in it fails.

    Raises:
        RequestError: It is something else, or a split is of wrong shapes or types, or is empty.
        DataError: Samples could not be read, or are wrong.
    """
    if isinstance(returned, Dataset):
        validation = returned.validation if len(returned.validation) else None
        return RawSplits(returned.classes, returned.train, returned.test, validation, returned.standardization)
    if not isinstance(returned, tuple | list) or len(returned) not in (2, 3):
        raise RequestError(f"{name} returned {_described(returned)}; expected {SETS}, each of them {FORMS}")
    train, *middle, test = returned
    parts = {"train": train, "test": test, **({"validation": middle[0]} if middle else {})}
    splits = {part: own_split(given, f"{name}, {part}", file) for part, given in parts.items()}
    classes = 1 + max(int(split.sample_labels.max()) for split in splits.values())
    return RawSplits(class_names(classes), splits["train"], splits["test"], splits.get("validation"))


def own_split(given: Any, name: str, file: Path | None = None) -> Samples:
    """Samples in any form that a user has them in, as what training takes.

    Args:
        given: As for `own_splits`.
        name: What they are called in messages.
        file: The user's file, whose line is named if code in it fails.

    Raises:
        RequestError: It is something else, or of wrong shapes or types, or empty.
        DataError: Samples could not be read, or are wrong.
    """
    try:
        split = cast(Samples, _adapted(given, name, file))
    except RequestError as error:
        raise RequestError(f"{name}: {error}") from error
    if len(split) == 0:
        raise RequestError(f"{name} has no samples; expected at least one")
    low, high = int(split.sample_labels.min()), int(split.sample_labels.max())
    if low < 0 or high >= MOST:
        raise RequestError(f"{name} has labels {low} to {high}; expected classes counted from 0, {MOST:,} at most")
    return split


def class_names(classes: int) -> tuple[str, ...]:
    """Names of classes that have none.

    Raises:
        RequestError: There are fewer than two.
    """
    if classes < 2:
        raise RequestError(f"all labels are {classes - 1}; expected at least two classes, counted from 0")
    return tuple(map(str, range(classes)))


@singledispatch
def _adapted(given: Any, name: str, file: Path | None) -> SampleSource:
    raise RequestError(f"got {_described(given)}; expected {FORMS}")


@_adapted.register(Split)
@_adapted.register(Stream)
def _(given: SampleSource, name: str, file: Path | None) -> SampleSource:
    return given


@_adapted.register(tuple)
@_adapted.register(list)
def _(given: tuple[Any, ...], name: str, file: Path | None) -> SampleSource:
    return tensor_split(*_pair(given))


@_adapted.register
def _(given: torch_data.TensorDataset, name: str, file: Path | None) -> SampleSource:
    return tensor_split(*_pair(given.tensors))


@_adapted.register
def _(given: torch_data.DataLoader, name: str, file: Path | None) -> SampleSource:  # type: ignore[type-arg]
    return read_once(name, file, _Given(given))


@_adapted.register
def _(given: torch_data.IterableDataset, name: str, file: Path | None) -> SampleSource:  # type: ignore[type-arg]
    return read_once(name, file, _Iterated(given))


@_adapted.register
def _(given: torch_data.Dataset, name: str, file: Path | None) -> SampleSource:  # type: ignore[type-arg]
    return read_once(name, file, _Indexed(given))


@dataclass(frozen=True)
class _Given:
    """A `DataLoader`, with its own batches in its own order."""

    loader: torch_data.DataLoader[Any]

    def batches(self, batch_size: int, *, shuffled: bool) -> Iterable[Any]:
        return self.loader

    def select(self, index: Tensor) -> None:
        return None

    def batch_size(self, largest: int) -> int:
        return largest if self.loader.batch_size is None else self.loader.batch_size


@dataclass(frozen=True)
class _Iterated:
    """An `IterableDataset`, in its own order."""

    samples: torch_data.IterableDataset[Any]

    def batches(self, batch_size: int, *, shuffled: bool) -> Iterable[Any]:
        return torch_data.DataLoader(self.samples, batch_size=batch_size)

    def select(self, index: Tensor) -> None:
        return None

    def batch_size(self, largest: int) -> None:
        return None


@dataclass(frozen=True)
class _Indexed:
    """A `Dataset` whose samples have numbers."""

    samples: torch_data.Dataset[Any]

    def batches(self, batch_size: int, *, shuffled: bool) -> Iterable[Any]:
        return torch_data.DataLoader(self.samples, batch_size=batch_size, shuffle=shuffled)

    def select(self, index: Tensor) -> _Indexed:
        return _Indexed(torch_data.Subset(self.samples, index.tolist()))

    def batch_size(self, largest: int) -> None:
        return None


def _pair(given: tuple[Any, ...] | list[Any]) -> tuple[Any, ...]:
    if len(given) not in (2, 3):
        raise RequestError(f"got {len(given)} tensors; expected inputs and labels, and perhaps lengths")
    return tuple(given)


def _described(given: Any) -> str:
    if isinstance(given, tuple | list):
        return f"a {type(given).__name__} of {len(given)}"
    return f"{given!r:.40}" if given is None else f"a {type(given).__name__}"
