"""Maps written out as one vector."""

from typing import ClassVar

import numpy as np
import torch

from onchip.interop.conventions import Conventions
from onchip.interop.parts.base import Found, Shape, Shapes, WeightlessReader, WeightlessWriter, Written


class FlattenConverter(WeightlessWriter, WeightlessReader):
    """`torch.nn.Flatten` to and from Flatten, whose axes do not count the batch."""

    layers: ClassVar[tuple[type, ...]] = (torch.nn.Flatten,)
    nodes: ClassVar[tuple[str, ...]] = ("Flatten",)

    def write(self, module: torch.nn.Flatten, shapes: Shapes, conventions: Conventions) -> Written:
        axes = len(shapes[0]) + 1
        start, end = module.start_dim % axes - 1, module.end_dim % axes - 1
        # Readers have their own idea of an axis counted from 0 to 2; -1 is the last one for all of them.
        fields = {"input_type": {"input": np.array(shapes[0])}, "start_dim": start}
        fields["end_dim"] = -1 if end == axes - 2 else end
        return Written("Flatten", fields)

    def read(self, found: Found, shape: Shape, conventions: Conventions) -> torch.nn.Module:
        start, end = (int(found.numbers(name).reshape(-1)[0]) for name in ("start_dim", "end_dim"))
        if conventions.reader.flatten_batch and start > 0:
            start, end = start - 1, end - 1 if end > 0 else end
        # A batch axis is in front; torch itself refuses axes that there are not.
        return torch.nn.Flatten(start + 1 if start >= 0 else start, end + 1 if end >= 0 else end)
