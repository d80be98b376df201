"""Images with their labels, and the three splits that make a data set."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from onchip.errors import DataError, RequestError


@dataclass(frozen=True, eq=False)
class Split:
    """Labeled images or recordings, stored as bytes: a quarter of the memory of floats.

    Args:
        images: (N, C, H, W) uint8, 0 dark to 255 bright; recordings have an axis of frames, (N, F, C, H, W).
        labels: (N,) int64, index into the data set's `classes`.

    Raises:
        RequestError: a tensor of another type or shape, or not one label per image.

    Example:
        >>> len(Split(torch.zeros(5, 1, 8, 8, dtype=torch.uint8), torch.arange(5)))
        5
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.ndim not in (4, 5) or images.dtype != torch.uint8:
            raise RequestError(
                f"Split got images {tuple(images.shape)} {images.dtype}; expected (N, C, H, W) torch.uint8, or "
                "(N, F, C, H, W) with frames. Scale floats in [0, 1] with (images * 255).round().to(torch.uint8)"
            )
        if labels.ndim != 1 or labels.dtype != torch.int64:
            raise RequestError(
                f"Split got labels {tuple(labels.shape)} {labels.dtype}; expected (N,) torch.int64. "
                "Convert them with labels.long()"
            )
        if len(images) != len(labels):
            raise RequestError(f"Split got {len(images)} images and {len(labels)} labels; expected one label per image")
        if images.device != labels.device:
            raise RequestError(
                f"Split got images on {images.device} and labels on {labels.device}; expected one device"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def device(self) -> torch.device:
        """Where the images are."""
        return self.images.device

    @property
    def shape(self) -> tuple[int, int, int]:
        """One image's (C, H, W)."""
        channels, height, width = self.images.shape[-3:]
        return channels, height, width

    @property
    def frames(self) -> int | None:
        """Frames of a recording, F, or None for images."""
        return self.images.shape[1] if self.images.ndim == 5 else None

    def to(self, device: torch.device | str) -> Split:
        """The same split on another device, moved once and whole."""
        return Split(self.images.to(device), self.labels.to(device))

    def take(self, index: Tensor) -> Split:
        """The images at `index`, (M,) int64, in that order."""
        return Split(self.images[index], self.labels[index])


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in three splits that share no image.

    Args:
        name: as passed to `load`, e.g. `fashion-mnist`.
        classes: name of each class; a label is an index into it.
        train: what a rule learns from.
        validation: for choices (when to stop, which rate); empty if its share is 0.
        test: for the reported accuracy, used once.

    Raises:
        DataError: a label outside the classes, or splits whose images differ in shape.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split

    def __post_init__(self) -> None:
        for field in fields(self)[2:]:
            split: Split = getattr(self, field.name)
            if split.images.shape[1:] != self.train.images.shape[1:]:
                raise DataError(
                    f"{self.name}: images of {field.name} are {tuple(split.images.shape[1:])}, those of train "
                    f"{tuple(self.train.images.shape[1:])} (C, H, W); expected one shape. Resize them to one size first"
                )
            if len(split) == 0:
                continue
            low, high = int(split.labels.min()), int(split.labels.max())
            if low < 0 or high >= self.n_classes:
                raise DataError(
                    f"{self.name}: {field.name} has labels {low} to {high}; expected 0 to {self.n_classes - 1}, "
                    f"one of its {self.n_classes} classes. Correct the labels"
                )

    @property
    def shape(self) -> tuple[int, int, int]:
        """One image's (C, H, W)."""
        return self.train.shape

    @property
    def frames(self) -> int | None:
        """Frames of a recording, or None for images."""
        return self.train.frames

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)

    def to(self, device: torch.device | str) -> Dataset:
        """The same data set with its three splits on another device."""
        moved = (split.to(device) for split in (self.train, self.validation, self.test))
        return Dataset(self.name, self.classes, *moved)
