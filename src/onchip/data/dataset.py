"""A data set in three splits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from onchip.data.sample_source import SampleSource
from onchip.data.samples import SampleKind
from onchip.data.split import Samples
from onchip.errors import DataError
from onchip.runs.code import short
from onchip.runs.model_file import Standardization

SPLITS = "train", "validation", "test"


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in three splits that share no sample.

    Args:
        name: as passed to `load`, e.g. `fashion-mnist`.
        classes: name of each class; a label is an index into it.
        train: what a rule learns from.
        validation: for choices (when to stop, which rate); empty if its share is 0.
        test: for the reported accuracy, used once.
        again: loads it in another process, for data that a user's function loads; None where it can be pickled.
        standardization: how its sequences were scaled when they were read; None where they are as in the files.

    Raises:
        DataError: a label outside the classes, or splits whose samples differ in kind or shape.
    """

    name: str
    classes: tuple[str, ...]
    train: Samples
    validation: Samples
    test: Samples
    again: Callable[[], Dataset] | None = None
    standardization: Standardization | None = None

    def __post_init__(self) -> None:
        called = short(self.name)
        for name in SPLITS:
            split: SampleSource = getattr(self, name)
            if split.kind != self.kind:
                raise DataError(f"{called}: {name} holds {split.kind.name}, train {self.kind.name}; expected one kind")
            # The longest sequence of one split may be longer than that of another.
            if split.shape != self.shape or (not self.kind.own_steps and split.steps != self.train.steps):
                raise DataError(
                    f"{called}: {split.kind.name} of {name} are {split.sample_shape}, those of "
                    f"train {self.train.sample_shape}; expected one shape. Resize them to one size first"
                )
            if len(split) == 0:
                continue
            low, high = int(split.sample_labels.min()), int(split.sample_labels.max())
            if low < 0 or high >= self.n_classes:
                raise DataError(
                    f"{called}: {name} has labels {low} to {high}; expected 0 to {self.n_classes - 1}, "
                    f"one of its {self.n_classes} classes. Correct the labels"
                )

    @property
    def kind(self) -> SampleKind:
        """What the samples are."""
        return self.train.kind

    @property
    def shape(self) -> tuple[int, ...]:
        """Features at one time step, the input of a network: (C, H, W) of images and recordings."""
        return self.train.shape

    @property
    def steps(self) -> int | None:
        """Frames of a recording, or steps of the longest sequence to train on; None for images."""
        return self.train.steps

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)

    def to(self, device: torch.device | str) -> Dataset:
        """The same data set with its three splits on another device."""
        train, validation, test = (split.to(device) for split in (self.train, self.validation, self.test))
        return replace(self, train=train, validation=validation, test=test, again=None)

    def __reduce__(self) -> Any:
        return super().__reduce__() if self.again is None else (self.again, ())
