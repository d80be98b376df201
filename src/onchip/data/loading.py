"""From a name to a data set in three splits."""

import os
from collections.abc import Callable
from functools import partial

import torch

from onchip.data.dataset import Dataset
from onchip.data.datasets import find
from onchip.data.root import data_root
from onchip.data.source import RawSplits
from onchip.data.split import Samples, Split
from onchip.data.stratify import stratified_order
from onchip.errors import RequestError
from onchip.runs.code import short


def load(
    name: str,
    *,
    root: str | os.PathLike[str] | None = None,
    train_size: int | None = None,
    validation: float = 0.1,
    seed: int = 0,
    download: bool = False,
) -> Dataset:
    """Load a data set into memory.

    Validation is drawn from train alone, stratified, by `seed`; test is the published one and never changes.
    With one seed, the samples of a smaller `train_size` are among those of a larger one.

    Args:
        name: one of `describe()`'s names, `folder:PATH` for your own pictures, or `ts:PATH` for your own sequences.
        root: folder of the data; see `data_root`.
        train_size: use only so many training samples, stratified; None for all that validation leaves.
        validation: share of train to set aside, in [0, 1), rounded, at least one sample unless 0. Not used
            where a folder has a validation split of its own.
        seed: of the draws, 0 or more.
        download: fetch files that are missing.

    Raises:
        RequestError: an unknown name, or a value out of range.
        DataError: a file is missing or damaged.

    Example:
        >>> data = load("digits", train_size=1000)
        >>> len(data.train), len(data.validation), len(data.test), data.shape
        (1000, 144, 359, (1, 8, 8))
    """
    if not 0 <= validation < 1:
        raise RequestError(f"validation={validation!r}; expected a share of the training samples in [0, 1), e.g. 0.1")
    if train_size is not None and (not isinstance(train_size, int) or train_size < 1):
        raise RequestError(
            f"train_size={train_size!r}; expected a whole number of samples, at least 1, or None for all"
        )
    if not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise RequestError(f"seed={seed!r}; expected a whole number of 0 or more, less than 2**63")
    place, source = data_root(root), find(name)
    if download:
        source.fetch(place)
    source.require(place)
    parts = source.read(place)
    loaded = partial(load, name, root=root, train_size=train_size, validation=validation, seed=seed)
    again = loaded if source.by_code else None
    return divided(name, parts, train_size=train_size, validation=validation, seed=seed, again=again)


def divided(
    name: str,
    parts: RawSplits,
    *,
    train_size: int | None = None,
    validation: float = 0.1,
    seed: int = 0,
    again: Callable[[], Dataset] | None = None,
) -> Dataset:
    """A data set in three splits, from two or three.

    Args:
        name: of the data set.
        parts: the splits that there are.
        train_size: as for `load`.
        validation: as for `load`.
        seed: as for `load`.
        again: as for `Dataset`.

    Raises:
        RequestError: fewer samples than are wanted.
        DataError: a label outside the classes, or splits whose samples differ in kind or shape.
    """
    own = parts.validation
    size = max(1, round(validation * len(parts.train))) if validation and own is None else 0
    train, drawn = _draw(name, parts.train, size, train_size, seed)
    validated = drawn if own is None else own
    return Dataset(name, parts.classes, train, validated, parts.test, again, parts.standardization)


def _draw(name: str, whole: Samples, validation: int, train_size: int | None, seed: int) -> tuple[Samples, Samples]:
    """`train_size` samples to train on, and `validation` others, each in the order of the files."""
    if not validation and train_size is None:
        return whole, _none_of(whole)
    left = len(whole) - validation
    if left < (train_size or 1):
        kind = whole.kind.name
        wanted = "at least 1" if train_size is None else f"train_size={train_size} {kind}"
        aside = f" when {validation} of {len(whole)} are set aside for validation" if validation else ""
        raise RequestError(
            f"{short(name)} has {left} {kind} to train on{aside}; expected {wanted}. Lower train_size or validation"
        )
    order = stratified_order(whole.sample_labels, seed)
    stop = len(order) if train_size is None else validation + train_size
    return whole.take(order[validation:stop].sort().values), whole.take(order[:validation].sort().values)


def _none_of(whole: Samples) -> Split:
    """No samples, of the kind and shape of others."""
    stored = torch.empty(0, *whole.sample_shape, dtype=whole.kind.dtypes[-1], device=whole.device)
    return Split(stored, torch.empty(0, dtype=torch.int64, device=whole.device), whole.kind)
