"""The size of a network's input, from a data set's name or from numbers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onchip.errors import RequestError, unknown_name
from onchip.runs.code import code_name

if TYPE_CHECKING:
    from onchip.data import Dataset, SampleKind

CLASSES = 10
LARGEST = 1024  # channels or pixels a side: one step needs no more, and memory has an end

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Size:
    """What a network takes.

    Args:
        shape: features at one time step, (C, H, W) of images.
        classes: number of classes.
        samples: what the samples are.
        data: the data set, if a user's function has loaded it.
    """

    shape: Shape
    classes: int
    samples: "SampleKind"
    data: "Dataset | None" = None


def size_of(option: str, text: str) -> Size:
    """The size of a data set's samples, or of images from text such as 1x8x8, which have 10 classes.

    Only data from a user's function, such as `my_data.py:load`, are loaded for it.

    Args:
        option: what the text was given for, for messages.
        text: as the user wrote it; options of a data set may follow its name.

    Raises:
        RequestError: neither a data set nor a size, or a size out of range; or a user's function is wrong.
    """
    from onchip.data.samples import IMAGES

    sides = text.lower().split("x")
    if all(side.isdecimal() for side in sides):
        if len(sides) != 3 or not all(1 <= int(side) <= LARGEST for side in sides):
            raise RequestError(f"{option} got {text!r}; expected CxHxW, such as 1x8x8, of 1 to {LARGEST} each")
        return Size(tuple(map(int, sides)), CLASSES, IMAGES)
    if code_name(text) is not None:
        from onchip.data import load

        data = load(text, validation=0.0)
        return Size(data.shape, data.n_classes, data.kind, data)
    from onchip.data.datasets import find, registry

    known = registry()
    info = find(text).info if text.partition(":")[0] in known else None
    if info is None:
        raise unknown_name("data set or size CxHxW:", text, known)
    return Size(info.shape, info.classes, info.kind)
