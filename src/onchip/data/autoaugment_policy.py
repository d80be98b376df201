"""The AutoAugment policy learned for CIFAR-10, and its operations on whole batches of bytes.

Reference: E. Cubuk et al., AutoAugment: Learning augmentation strategies from data, CVPR 2019, table 7; ranges of
the operations as in torchvision.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor
from torchvision.transforms.v2 import functional as F

LEVELS = 10
"""Magnitudes run over this many levels, 0 to 9."""


@dataclass(frozen=True)
class Operation:
    """One change to an image, made with some probability.

    Args:
        name: of the operation, as in the paper.
        probability: of the change.
        level: of its magnitude, 0 to 9; None for operations without.
    """

    name: str
    probability: float
    level: int | None = None

    def __call__(self, images: Tensor, *, backwards: bool) -> Tensor:
        """Bytes (B, C, H, W), each changed alike; `backwards` negates the magnitude where it has a sign."""
        if self.level is None:
            return _PLAIN[self.name](images)
        share = self.level / (LEVELS - 1)
        if self.name in _LEVELLED:
            return _LEVELLED[self.name](images, share)
        return _SIGNED[self.name](images, -share if backwards else share)


def _affine(images: Tensor, *, shift: tuple[int, int] = (0, 0), shear: tuple[float, float] = (0.0, 0.0)) -> Tensor:
    """`shift` in pixels; `shear` in pixels per pixel, about the upper left corner."""
    degrees = [math.degrees(math.atan(slope)) for slope in shear]
    corner = None if degrees == [0.0, 0.0] else [0.0, 0.0]
    return F.affine(images, angle=0.0, translate=list(shift), scale=1.0, shear=degrees, center=corner)


def _shift(size: int, share: float) -> int:
    return int(share * 150.0 / 331.0 * size)  # 150 of the 331 pixels for which the paper gives the range


_PLAIN: Mapping[str, Callable[[Tensor], Tensor]] = {
    "AutoContrast": F.autocontrast,
    "Equalize": F.equalize,
    "Invert": F.invert,
}
_LEVELLED: Mapping[str, Callable[[Tensor, float], Tensor]] = {
    "Posterize": lambda images, share: F.posterize(images, round(8 - 4 * share)),
    "Solarize": lambda images, share: F.solarize(images, 255.0 * (1.0 - share)),
}
_SIGNED: Mapping[str, Callable[[Tensor, float], Tensor]] = {
    "Brightness": lambda images, share: F.adjust_brightness(images, 1.0 + 0.9 * share),
    "Color": lambda images, share: F.adjust_saturation(images, 1.0 + 0.9 * share),
    "Contrast": lambda images, share: F.adjust_contrast(images, 1.0 + 0.9 * share),
    "Sharpness": lambda images, share: F.adjust_sharpness(images, 1.0 + 0.9 * share),
    "Rotate": lambda images, share: F.rotate(images, 30.0 * share),
    "ShearX": lambda images, share: _affine(images, shear=(0.3 * share, 0.0)),
    "ShearY": lambda images, share: _affine(images, shear=(0.0, 0.3 * share)),
    "TranslateX": lambda images, share: _affine(images, shift=(_shift(images.shape[-1], share), 0)),
    "TranslateY": lambda images, share: _affine(images, shift=(0, _shift(images.shape[-2], share))),
}

CIFAR10: tuple[tuple[Operation, Operation], ...] = (
    (Operation("Invert", 0.1), Operation("Contrast", 0.2, 6)),
    (Operation("Rotate", 0.7, 2), Operation("TranslateX", 0.3, 9)),
    (Operation("Sharpness", 0.8, 1), Operation("Sharpness", 0.9, 3)),
    (Operation("ShearY", 0.5, 8), Operation("TranslateY", 0.7, 9)),
    (Operation("AutoContrast", 0.5), Operation("Equalize", 0.9)),
    (Operation("ShearY", 0.2, 7), Operation("Posterize", 0.3, 7)),
    (Operation("Color", 0.4, 3), Operation("Brightness", 0.6, 7)),
    (Operation("Sharpness", 0.3, 9), Operation("Brightness", 0.7, 9)),
    (Operation("Equalize", 0.6), Operation("Equalize", 0.5)),
    (Operation("Contrast", 0.6, 7), Operation("Sharpness", 0.6, 5)),
    (Operation("Color", 0.7, 7), Operation("TranslateX", 0.5, 8)),
    (Operation("Equalize", 0.3), Operation("AutoContrast", 0.4)),
    (Operation("TranslateY", 0.4, 3), Operation("Sharpness", 0.2, 6)),
    (Operation("Brightness", 0.9, 6), Operation("Color", 0.2, 8)),
    (Operation("Solarize", 0.5, 2), Operation("Invert", 0.0)),
    (Operation("Equalize", 0.2), Operation("AutoContrast", 0.6)),
    (Operation("Equalize", 0.2), Operation("Equalize", 0.6)),
    (Operation("Color", 0.9, 9), Operation("Equalize", 0.6)),
    (Operation("AutoContrast", 0.8), Operation("Solarize", 0.2, 8)),
    (Operation("Brightness", 0.1, 3), Operation("Color", 0.7, 0)),
    (Operation("Solarize", 0.4, 5), Operation("AutoContrast", 0.9)),
    (Operation("TranslateY", 0.9, 9), Operation("TranslateY", 0.7, 9)),
    (Operation("AutoContrast", 0.9), Operation("Solarize", 0.8, 3)),
    (Operation("Equalize", 0.8), Operation("Invert", 0.1)),
    (Operation("TranslateY", 0.7, 9), Operation("AutoContrast", 0.9)),
)
