"""Picture files to one tensor of bytes."""

import io
import os
import struct
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onchip._files import read_regular
from onchip.errors import DataError

FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
GREY, COLOR = ("1", "L"), ("RGB", "P", "CMYK", "YCbCr")  # PIL's modes of 8 bits per channel, without alpha
# What PIL's decoders raise on a damaged file; there is no one type for it.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error, zlib.error)
LARGEST = 2**24  # pixels: what a header claims takes memory before the first of them is decoded
BLOCK = 256  # pictures per task: big enough that handing out tasks costs nothing, small enough to share out


def decode(paths: Sequence[Path]) -> Tensor:
    """Decode pictures of one size, with threads.

    Grey pictures give one channel and color pictures three; where both occur, all become RGB (grey
    repeated). The rotation in a camera's EXIF tag is not applied.

    Args:
        paths: N >= 1 picture files (BMP, JPEG, PNG, PPM, TIFF, WebP).

    Returns:
        (N, C, H, W) uint8, C = 1 or 3.

    Raises:
        DataError: naming the first file that is no picture, is damaged, is see-through, is animated, has more
            than 8 bits per channel, or differs in size from the first.
    """
    from PIL import Image

    Image.init()  # loads PIL's plug-ins, which must not happen in several threads at once
    size = _decode_one(paths[0]).shape[:2]
    blocks = [paths[i : i + BLOCK] for i in range(0, len(paths), BLOCK)]
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        decoded = list(pool.map(lambda block: _decode_block(block, size, paths[0]), blocks))
    channels = max(block.shape[3] for block in decoded)
    images = np.concatenate([np.broadcast_to(block, (*block.shape[:3], channels)) for block in decoded])
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()  # (N, C, H, W)


def _decode_block(paths: Sequence[Path], size: tuple[int, ...], first: Path) -> NDArray[np.uint8]:
    images = []
    for path in paths:
        image = _decode_one(path)
        if image.shape[:2] != size:
            raise DataError(
                f"{path} is {image.shape[1]}×{image.shape[0]} pixels (width × height), but {first} is "
                f"{size[1]}×{size[0]}; expected one size. Resize the pictures first, e.g. with "
                f"`magick mogrify -resize {size[1]}x{size[0]}! FILES`"
            )
        images.append(image)
    channels = max(image.shape[2] for image in images)
    return np.stack([np.broadcast_to(image, (*size, channels)) for image in images])


def _decode_one(path: Path) -> NDArray[np.uint8]:
    """One picture, (H, W, 1 or 3)."""
    from PIL import Image, UnidentifiedImageError

    try:
        content = io.BytesIO(read_regular(path))
        with Image.open(content, formats=FORMATS) as image:
            if image.width * image.height > LARGEST:
                raise DataError(
                    f"{path} has {image.width}×{image.height} pixels; expected {LARGEST:,} at most. Resize it"
                )
            image.verify()  # checksums that PNG has and its decoder skips; afterwards the image cannot be used
        with Image.open(content, formats=FORMATS) as image:
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
            array = np.asarray(pixels, dtype=np.uint8)
    except UnidentifiedImageError as error:
        raise DataError(
            f"{path} is no picture; expected one of {', '.join(FORMATS)}. Move other files elsewhere "
            "(hidden files are ignored)"
        ) from error
    except (*DAMAGED, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be decoded: {error}. Replace it with an intact copy, or remove it") from error
    return array[..., None] if array.ndim == 2 else array
