"""Random changes to whole batches of images or recordings, with one draw for each.

Every augmentation takes images (B, C, H, W) or recordings (B, F, C, H, W) in [0, 1] and a generator, and returns new
ones of the same shape. All frames of a recording are changed alike. What takes images only says so.
The few numbers that an image needs are drawn on the generator's device and moved: with one generator on the
CPU, a run is augmented alike on CPU and GPU.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from onchip._types import checked
from onchip.data.autoaugment_policy import CIFAR10
from onchip.errors import RequestError

__all__ = ["AutoAugment", "Compose", "Crop", "Cutout", "Flip"]


@checked
@dataclass(frozen=True)
class Crop:
    """Shift each image or recording by up to `pad` pixels either way, with black where nothing was.

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
        _require_pixels("Crop", images)
        b, h, w = len(images), *images.shape[-2:]
        top, left = _draw(2 * self.pad + 1, (2, b), images, generator)
        rows = top[:, None] + torch.arange(h, device=images.device)  # (B, H)
        columns = left[:, None] + torch.arange(w, device=images.device)  # (B, W)
        flat = images.reshape(b, math.prod(images.shape[1:-2]), h, w)  # (B, C or F * C, H, W)
        which = torch.arange(b, device=images.device)[:, None, None, None]
        channel = torch.arange(flat.shape[1], device=images.device)[:, None, None]
        padded = pad(flat, (self.pad,) * 4)
        return padded[which, channel, rows[:, None, :, None], columns[:, None, None, :]].view(images.shape)


@dataclass(frozen=True)
class Flip:
    """Mirror each image or recording left to right, with probability 1/2.

    Not for characters, whose sense it changes, nor for gestures, of which some are the mirror images of others.

    Reference: K. He et al., Deep residual learning for image recognition, 2016, section 4.2.
    """

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        _require_pixels("Flip", images)
        mirrored = _draw(2, (len(images),), images, generator).bool()
        return torch.where(_over(images, mirrored), images.flip(-1), images)


@checked
@dataclass(frozen=True)
class Cutout:
    """Black out one square of each image or recording; its center is any pixel, so that part of it may lie outside.

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
        _require_pixels("Cutout", images)
        b, h, w = len(images), *images.shape[-2:]
        row_inside = self._inside(h, _draw(h, (b,), images, generator))
        column_inside = self._inside(w, _draw(w, (b,), images, generator))
        hole = row_inside[:, :, None] & column_inside[:, None, :]  # (B, H, W)
        return images.masked_fill(_over(images, hole), 0.0)

    def _inside(self, n: int, center: Tensor) -> Tensor:
        """(B, n): which of n rows (or columns) the square covers."""
        offset = torch.arange(n, device=center.device) - (center[:, None] - self.size // 2)
        return (offset >= 0) & (offset < self.size)


@dataclass(frozen=True)
class AutoAugment:
    """Change each image by one of the 25 pairs of operations of the policy that was learned for CIFAR-10.

    The images are rounded to bytes, on which the operations are defined; pixels from outside an image are black.
    Images with the same draw go through torchvision together. Put it before `Cutout`.

    Raises:
        RequestError: when called, recordings, or images of other than 1 or 3 channels.

    Reference: E. Cubuk et al., AutoAugment: Learning augmentation strategies from data, CVPR 2019.
    """

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        if images.ndim != 4:
            raise RequestError(
                f"AutoAugment got samples of shape {tuple(images.shape[1:])}; expected images (C, H, W), whose "
                "brightness and color it changes. Use Crop, Flip or Cutout for recordings"
            )
        if images.shape[1] not in (1, 3):
            raise RequestError(f"AutoAugment got images of {images.shape[1]} channels; expected 1 or 3")
        b = len(images)
        pairs = torch.randint(len(CIFAR10), (b,), generator=generator, device=generator.device).tolist()
        chances = torch.rand(2, b, generator=generator, device=generator.device).tolist()
        senses = torch.randint(2, (2, b), generator=generator, device=generator.device).tolist()
        changed = images.mul(255.0).round_().to(torch.uint8)
        for turn in range(2):
            alike: dict[tuple[int, bool], list[int]] = {}
            for image, pair in enumerate(pairs):
                if chances[turn][image] < CIFAR10[pair][turn].probability:
                    alike.setdefault((pair, bool(senses[turn][image])), []).append(image)
            for (pair, backwards), chosen in alike.items():
                which = torch.tensor(chosen, device=images.device)
                changed[which] = CIFAR10[pair][turn](changed[which], backwards=backwards)
        return changed.to(images.dtype).div_(255.0)


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


def _over(images: Tensor, drawn: Tensor) -> Tensor:
    """Values per image, (B,) or (B, H, W), over the axes of images or recordings, with 1 for the missing ones."""
    return drawn.view(len(images), *[1] * (images.ndim - drawn.ndim), *drawn.shape[1:])


def _require_pixels(part: str, images: Tensor) -> None:
    if images.ndim not in (4, 5):
        raise RequestError(
            f"{part} got samples of shape {tuple(images.shape[1:])}; expected images (C, H, W) or recordings "
            "(F, C, H, W). Leave it out"
        )


def _at_least_one(part: str, name: str, got: int) -> None:
    if not isinstance(got, int) or got < 1:
        raise RequestError(f"{part} got {name}={got!r}; expected a whole number of pixels, at least 1")
