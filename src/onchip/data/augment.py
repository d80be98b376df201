"""Random changes to whole batches of images, each image with a draw of its own.

Every part takes images (B, C, H, W) in [0, 1] and a generator, and returns new images of the same shape.
The few numbers that an image needs are drawn on the generator's device and moved: with one generator on the
CPU, a run is augmented alike on CPU and GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from onchip.errors import RequestError

__all__ = ["Compose", "Crop", "Cutout", "Flip"]


@dataclass(frozen=True)
class Crop:
    """Shift each image by up to `pad` pixels either way, with black where nothing was.

    The window is drawn evenly from the (2·pad + 1)² places in the image padded with zeros.

    Args:
        pad: pixels of black on each side, at least 1; 4 is usual for 32×32 images.

    Raises:
        RequestError: pad below 1.

    Reference: K. He et al., Deep residual learning for image recognition, 2016, section 4.2.
    """

    pad: int

    def __post_init__(self) -> None:
        _at_least_one("Crop", "pad", self.pad)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        b, c, h, w = images.shape
        top, left = _draw(2 * self.pad + 1, (2, b), images, generator)
        rows = top[:, None] + torch.arange(h, device=images.device)  # (B, H)
        columns = left[:, None] + torch.arange(w, device=images.device)  # (B, W)
        which = torch.arange(b, device=images.device)[:, None, None, None]
        channel = torch.arange(c, device=images.device)[:, None, None]
        padded = pad(images, (self.pad,) * 4)
        return padded[which, channel, rows[:, None, :, None], columns[:, None, None, :]]  # (B, C, H, W)


@dataclass(frozen=True)
class Flip:
    """Mirror each image left to right, with probability 1/2. Not for characters, whose sense it changes.

    Reference: K. He et al., Deep residual learning for image recognition, 2016, section 4.2.
    """

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        mirrored = _draw(2, (len(images),), images, generator).bool()
        return torch.where(mirrored[:, None, None, None], images.flip(-1), images)


@dataclass(frozen=True)
class Cutout:
    """Black out one square of each image; its centre is any pixel, so that part of it may lie outside.

    Args:
        size: side of the square, pixels, at least 1; the paper takes 16 for CIFAR-10, 8 for CIFAR-100.

    Raises:
        RequestError: size below 1.

    Reference: T. DeVries and G. Taylor, Improved regularization of convolutional neural networks with cutout,
        arXiv:1708.04552, 2017.
    """

    size: int

    def __post_init__(self) -> None:
        _at_least_one("Cutout", "size", self.size)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        b, _, h, w = images.shape
        row_inside = self._inside(h, _draw(h, (b,), images, generator))
        column_inside = self._inside(w, _draw(w, (b,), images, generator))
        hole = row_inside[:, None, :, None] & column_inside[:, None, None, :]  # (B, 1, H, W)
        return images.masked_fill(hole, 0.0)

    def _inside(self, n: int, centre: Tensor) -> Tensor:
        """(B, n): which of n rows (or columns) the square covers."""
        offset = torch.arange(n, device=centre.device) - (centre[:, None] - self.size // 2)
        return (offset >= 0) & (offset < self.size)


@dataclass(frozen=True, init=False)
class Compose:
    """Several augmentations, one after the other.

    Example:
        >>> augment = Compose(Crop(4), Flip())
    """

    parts: tuple[Callable[[Tensor, torch.Generator], Tensor], ...]

    def __init__(self, *parts: Callable[[Tensor, torch.Generator], Tensor]) -> None:
        object.__setattr__(self, "parts", parts)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        for part in self.parts:
            images = part(images, generator)
        return images


def _draw(n: int, shape: tuple[int, ...], images: Tensor, generator: torch.Generator) -> Tensor:
    """Whole numbers 0..n-1 of that shape, drawn on the generator's device, on the images' device."""
    drawn = torch.randint(n, shape, generator=generator, device=generator.device)
    return drawn.to(images.device, non_blocking=True)


def _at_least_one(part: str, name: str, got: int) -> None:
    if not isinstance(got, int) or got < 1:
        raise RequestError(f"{part} got {name}={got!r}; expected a whole number of pixels, at least 1")
