"""Layers that do nothing at inference, and so are no nodes."""

from typing import Any, ClassVar

import torch

from onchip.interop.conventions import Conventions
from onchip.interop.parts.base import Shapes, WeightlessWriter, Written


class NothingConverter(WeightlessWriter):
    """`Identity` and `Dropout`: NIR describes inference."""

    layers: ClassVar[tuple[type, ...]] = (torch.nn.Identity, torch.nn.Dropout)

    def write(self, module: Any, shapes: Shapes, conventions: Conventions) -> Written | None:
        return None
