"""Picture files to bytes, with several threads."""

import io
import os
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onchip._files import read_regular
from onchip.data.progress import report
from onchip.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
GREY, COLOR = ("1", "L"), ("RGB", "P", "CMYK", "YCbCr")  # PIL's modes of 8 bits per channel, without alpha
# What PIL's decoders raise on a damaged file; there is no one type for it.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error, zlib.error)
PNG = b"\x89PNG\r\n\x1a\n"  # how its files begin
LARGEST = 2**24  # pixels: what a header claims takes memory before the first of them is decoded
LONGEST = 2**10  # pixels of a side to which pictures are resized: more than any network takes
BLOCK = 256  # pictures per task: big enough that handing out tasks costs nothing, small enough to share out
BLOCK_BYTES = 2**22  # of a task at most: a few tasks of each thread are in memory

Pictures = NDArray[np.uint8]


class ColorFound(Exception):
    """A colored picture among others that are grey."""


def pieces(
    name: str,
    files: Callable[[], Iterable[Path]],
    count: int,
    side: int | None = None,
    *,
    color: bool = False,
) -> Iterator[Pictures]:
    """Decode pictures in order, a few hundred at a time; no more than a few such pieces are in memory.

    Args:
        name: Of the pictures, in the report of progress.
        files: Gives the picture files (BMP, JPEG, PNG, PPM, TIFF, WebP), from the first.
        count: How many they are, at least 1.
        side: Resize the pictures and crop them to a square of so many pixels; see `resized`. None for pictures that
            are of one size already.
        color: Whether all become RGB, grey repeated; else they are what the first one is.

    Yields:
        (n, C, H, W) uint8, C = 1 or 3.

    Raises:
        DataError: naming the first file that is no picture, is damaged, is see-through, is animated, has more
            than 8 bits per channel, or differs in size from the first.
        ColorFound: a picture is colored, and the first is not.
    """
    first = next(iter(files()))
    example = _decode_one(first, side)
    channels = 3 if color else example.shape[2]
    what, done = f"{name}: pictures decoded", 0
    report(what, done, count)
    for block in _decoded(files(), first, example, side):
        if block.shape[3] > channels:
            raise ColorFound
        spread = np.broadcast_to(block, (*block.shape[:3], channels))
        yield np.ascontiguousarray(spread.transpose(0, 3, 1, 2))  # (n, C, H, W)
        done += len(block)
        report(what, done, count)


def decode(paths: Sequence[Path]) -> Tensor:
    """Decode pictures of one size into memory.

    Grey pictures give one channel and color pictures three; where both occur, all become RGB (grey
    repeated). The rotation in a camera's EXIF tag is not applied.

    Args:
        paths: N >= 1 picture files.

    Returns:
        (N, C, H, W) uint8, C = 1 or 3.

    Raises:
        DataError: as for `pieces`.
    """
    decoded = list(_decoded(paths, paths[0], _decode_one(paths[0]), None))
    channels = max(block.shape[3] for block in decoded)
    images = np.concatenate([np.broadcast_to(block, (*block.shape[:3], channels)) for block in decoded])
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()  # (N, C, H, W)


def _decoded(files: Iterable[Path], first: Path, example: Pictures, side: int | None) -> Iterator[Pictures]:
    """Blocks of pictures (n, H, W, 1 or 3), in order. Memory holds a few for each thread."""
    from PIL import Image

    Image.init()  # loads PIL's plug-ins, which must not happen in several threads at once
    threads = min(8, os.cpu_count() or 1)
    length = max(1, min(BLOCK, BLOCK_BYTES // example.nbytes))
    rest, waiting = iter(files), deque[Future[Pictures]]()
    pool = ThreadPoolExecutor(threads)
    try:
        while block := list(islice(rest, length)):
            waiting.append(pool.submit(_decode_block, block, example.shape[:2], first, side))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _decode_block(paths: Sequence[Path], size: tuple[int, ...], first: Path, side: int | None) -> Pictures:
    images = []
    for path in paths:
        image = _decode_one(path, side)
        if image.shape[:2] != size:
            raise DataError(
                f"{path} is {image.shape[1]}×{image.shape[0]} pixels (width × height), but {first} is "
                f"{size[1]}×{size[0]}; expected one size. Let them be resized and cropped to squares, e.g. with "
                f"folder:PATH;size={min(size)}, or resize them first, e.g. with "
                f"`magick mogrify -resize {size[1]}x{size[0]}! FILES`"
            )
        images.append(image)
    channels = max(image.shape[2] for image in images)
    return np.stack([np.broadcast_to(image, (*size, channels)) for image in images])


def resized(image: "Image.Image", side: int) -> "Image.Image":
    """The square in the middle of a picture whose shorter side has been resized.

    What `torchvision.transforms.Resize(side)` and `CenterCrop(side)` make of a PIL image: PIL's bilinear filter, which
    is antialiased. Only the square is computed, since a long and thin picture may be too large as a whole.

    Args:
        image: Grey or RGB.
        side: Pixels of the shorter side, and of the square.
    """
    from PIL import Image

    shorter, longer = sorted(image.size)
    reach = int(side * longer / shorter)  # pixels of the longer side
    before = round((reach - side) / 2)
    begin, end = (place * longer / reach for place in (before, before + side))
    box = (begin, 0, end, shorter) if image.width >= image.height else (0, begin, shorter, end)
    return image.resize((side, side), Image.Resampling.BILINEAR, box)


def _decode_one(path: Path, side: int | None = None) -> Pictures:
    """One picture, (H, W, 1 or 3)."""
    from PIL import Image, UnidentifiedImageError

    try:
        content = io.BytesIO(read_regular(path))
        if content.getvalue().startswith(PNG):  # has checksums, which its decoder skips
            with Image.open(content, formats=("PNG",)) as image:
                image.verify()  # afterwards the image cannot be used
        with Image.open(content, formats=FORMATS) as image:
            if image.width * image.height > LARGEST:
                raise DataError(
                    f"{path} has {image.width}×{image.height} pixels; expected {LARGEST:,} at most. Resize it"
                )
            if getattr(image, "n_frames", 1) > 1:  # only formats that can hold several have the attribute
                raise DataError(f"{path} has several pictures; expected one per file. Save each to its own file")
            if image.mode in ("RGBA", "LA"):
                image.load()
                if image.getextrema()[-1] != (255, 255):
                    raise DataError(
                        f"{path} is partly see-through; expected a picture without alpha. Flatten it onto a "
                        "background first, e.g. with `magick mogrify -background black -flatten FILES`"
                    )
                pixels = image.convert("L" if image.mode == "LA" else "RGB")
            elif image.mode in GREY + COLOR and "transparency" not in image.info:
                pixels = image.convert("L" if image.mode in GREY else "RGB")
            else:
                raise DataError(
                    f"{path} has pixels of PIL mode {image.mode!r}; expected grey or RGB with 8 bits a "
                    "channel. Convert it first, e.g. with `magick mogrify -depth 8 -alpha off FILES`"
                )
            array = np.asarray(pixels if side is None else resized(pixels, side), dtype=np.uint8)
    except UnidentifiedImageError as error:
        raise DataError(
            f"{path} is no picture; expected one of {', '.join(FORMATS)}. Move other files elsewhere "
            "(hidden files are ignored)"
        ) from error
    except (*DAMAGED, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be decoded: {error}. Replace it with an intact copy, or remove it") from error
    return array[..., None] if array.ndim == 2 else array
