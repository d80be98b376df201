"""The size of a network's input, from a data set's name or from numbers."""

from onchip.errors import RequestError, unknown_name

CLASSES = 10
LARGEST = 1024  # channels or pixels a side: one step needs no more, and memory has an end

Shape = tuple[int, int, int]


def size_of(option: str, text: str) -> tuple[Shape, int]:
    """(C, H, W) and the number of classes, from a data set's name or from text such as 1x8x8, which has 10.

    Args:
        option: what the text was given for, for messages.
        text: as the user wrote it.

    Raises:
        RequestError: neither a data set nor a size, or a size out of range.
    """
    sides = text.lower().split("x")
    if all(side.isdecimal() for side in sides):
        if len(sides) != 3 or not all(1 <= int(side) <= LARGEST for side in sides):
            raise RequestError(f"{option} got {text!r}; expected CxHxW, such as 1x8x8, of 1 to {LARGEST} each")
        return (int(sides[0]), int(sides[1]), int(sides[2])), CLASSES
    from onchip.data.catalogue import describe

    sizes = {info.name: (info.shape, info.classes) for info in describe()}
    if text not in sizes:
        raise unknown_name("data set or size CxHxW:", text, sizes)
    return sizes[text]
