"""IDX files, the format of MNIST and similar data sets, checked before torchvision reads them."""

import math
from pathlib import Path

from onchip._files import require_regular
from onchip.data.split import Split
from onchip.errors import DataError

# "The magic number": two zero bytes, 0x08 for unsigned bytes, the number of dimensions; then each
# dimension as a big-endian 32-bit integer (http://yann.lecun.com/exdb/mnist/, "File formats").
MAGIC = b"\x00\x00\x08"


def read_pair(images: Path, labels: Path, *, size: tuple[int, int], classes: int) -> Split:
    """A file of images with its file of labels.

    Args:
        images: IDX file of unsigned bytes (N, H, W).
        labels: IDX file of unsigned bytes (N,).
        size: the (H, W) that the images must have, pixels.
        classes: labels must be less than this.

    Raises:
        DataError: a file is unreadable, cut short, of another format, or the two do not match.
    """
    from torchvision.datasets.mnist import read_image_file, read_label_file  # takes seconds, so on demand

    n, *got = _checked_shape(images, 3)
    if tuple(got) != size:
        raise DataError(f"{images} has images of {got[0]}×{got[1]} pixels; expected {size[0]}×{size[1]}")
    (m,) = _checked_shape(labels, 1)
    if n != m:
        raise DataError(f"{labels} has {m} labels for {n} images; expected one label per image. {_remedy(labels)}")
    split = Split(read_image_file(str(images)).unsqueeze(1), read_label_file(str(labels)))
    if (top := int(split.labels.max())) >= classes:
        at = int(split.labels.argmax())
        raise DataError(f"{labels} has label {top} at place {at}; expected 0 to {classes - 1}. {_remedy(labels)}")
    return split


def _checked_shape(path: Path, dimensions: int) -> tuple[int, ...]:
    """The shape that the header states, once the file's length agrees with it."""
    start = 4 * (dimensions + 1)
    try:
        require_regular(path)
        with path.open("rb") as file:
            header = file.read(start)
        length = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Check that it is a file you may read") from error
    if header[:4] != MAGIC + bytes([dimensions]):
        raise DataError(
            f"{path} starts with bytes {header[:4].hex(' ') or '(none)'}; expected "
            f"{(MAGIC + bytes([dimensions])).hex(' ')} (IDX, unsigned bytes, {dimensions} dimensions). " + _remedy(path)
        )
    shape = tuple(int.from_bytes(header[i : i + 4], "big") for i in range(4, start, 4))
    if length != start + math.prod(shape) or len(header) < start:
        raise DataError(
            f"{path} is {length} bytes long; expected {start + math.prod(shape)} for the shape {shape} that "
            f"its header states: it is damaged or cut short. {_remedy(path)}"
        )
    if shape[0] == 0:
        raise DataError(f"{path} is empty; expected at least one item. {_remedy(path)}")
    return shape


def _remedy(path: Path) -> str:
    return f"Delete {path.name} and fetch the data set again"
