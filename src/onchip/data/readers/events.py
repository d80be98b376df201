"""Recordings of event cameras, in the binary format of N-MNIST and N-Caltech101."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from onchip._files import read_regular
from onchip.errors import DataError

BYTES = 5
"""Of an event: x, y, then 1 bit of polarity and 23 bits of time in µs, the highest first (Orchard et al. 2015)."""


def read_frames(path: Path, *, size: tuple[int, int], frames: int, frame_us: int) -> Tensor:
    """Whether a pixel had an event in each of a number of frames: (frames, 2, H, W) uint8, 0 or 255.

    Args:
        path: the file.
        size: (H, W) of the sensor, in pixels.
        frames: how many; later events count in the last.
        frame_us: length of one, in microseconds.

    Raises:
        DataError: the file is missing or damaged.
    """
    height, width = size
    try:
        raw = np.frombuffer(read_regular(path), dtype=np.uint8)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Give a file that you may read") from error
    if not len(raw) or len(raw) % BYTES:
        raise DataError(f"{path} is {len(raw)} bytes long; expected {BYTES} for each of its events. Fetch it again")
    x, y, high, middle, low = raw.reshape(-1, BYTES).astype(np.int64).T
    if x.max() >= width or y.max() >= height:
        place = f"({x.max()}, {y.max()})"
        raise DataError(f"{path} has an event at {place}; expected x < {width} and y < {height}. Fetch it again")
    time = (high & 127) << 16 | middle << 8 | low
    events = torch.zeros(frames, 2, height, width, dtype=torch.uint8)
    events.numpy()[np.minimum(time // frame_us, frames - 1), high >> 7, y, x] = 255
    return events
