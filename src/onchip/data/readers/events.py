"""Events of cameras and microphones, checked before anything is made of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onchip.data.readers.files import read_bytes
from onchip.errors import DataError

BYTES = 5
"""Of an event: x, y, then 1 bit of sign and 23 bits of time in µs, the highest first (Orchard et al. 2015)."""
LATEST_US = 2**40
"""Twelve days, in µs: no recording is as long, and sums of times stay in 64 bits."""
OVERFLOW, OVERFLOW_US = 240, 2**13
"""Row of an event that only says that time goes on from there by so many µs, in the readers of that format."""


@dataclass(frozen=True, eq=False)
class Events:
    """Events of one recording, in order of time; made by `checked`.

    Args:
        sensor: (H, W), in pixels.
        x, y: (n,) int64, column from the left, row from the top.
        sign: (n,) int64, 1 where it became brighter, 0 where darker.
        time: (n,) int64, µs.
    """

    sensor: tuple[int, int]
    x: NDArray[np.int64]
    y: NDArray[np.int64]
    sign: NDArray[np.int64]
    time: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.time)

    def between(self, begin: int, end: int) -> "Events":
        """Those with begin <= time < end, µs."""
        part = slice(*np.searchsorted(self.time, (begin, end)))
        return Events(self.sensor, self.x[part], self.y[part], self.sign[part], self.time[part])


def checked(
    name: object,
    sensor: tuple[int, int],
    x: NDArray[np.int64],
    y: NDArray[np.int64],
    sign: NDArray[np.int64],
    time: NDArray[np.int64],
) -> Events:
    """Events that are what a camera can have recorded.

    Args:
        name: What they were read from, for the message.
        sensor: (H, W), in pixels.
        x, y, sign, time: See `Events`.

    Raises:
        DataError: There are none, or one is off the sensor, of no sign, before time 0, or earlier than the one before.
    """
    height, width = sensor
    if not len(time):
        raise DataError(f"{name} has 0 events; expected at least one. Fetch it again")
    off = (x < 0) | (x >= width) | (y < 0) | (y >= height)
    if off.any():
        at = int(off.argmax())
        raise DataError(
            f"{name} has an event at ({x[at]}, {y[at]}), number {at}; expected x < {width} and y < {height}. "
            "Fetch it again"
        )
    if (odd := (sign < 0) | (sign > 1)).any():
        at = int(odd.argmax())
        raise DataError(f"{name} has an event of sign {sign[at]}, number {at}; expected 0 or 1. Fetch it again")
    if (back := np.diff(time) < 0).any():
        at = int(back.argmax())
        raise DataError(
            f"{name} has events out of order: number {at + 1} at {time[at + 1]} µs follows one at {time[at]} µs; "
            "expected times that never decrease. Fetch it again"
        )
    if time[0] < 0 or time[-1] > LATEST_US:
        late = time[0] if time[0] < 0 else time[-1]
        raise DataError(f"{name} has an event at {late} µs; expected times from 0 to {LATEST_US}. Fetch it again")
    return Events(sensor, x, y, sign, time)


def read_bin(path: Path, sensor: tuple[int, int]) -> Events:
    """The events of a file of N-MNIST or N-Caltech101.

    Args:
        path: The file.
        sensor: (H, W), in pixels.

    Raises:
        DataError: The file is missing or damaged.
    """
    raw = np.frombuffer(read_bytes(path), dtype=np.uint8)
    if not len(raw) or len(raw) % BYTES:
        raise DataError(f"{path} is {len(raw)} bytes long; expected {BYTES} for each of its events. Fetch it again")
    x, y, high, middle, low = raw.reshape(-1, BYTES).astype(np.int64).T
    time = (high & 127) << 16 | middle << 8 | low
    sign = high >> 7
    if (over := y == OVERFLOW).any():
        time = time + OVERFLOW_US * np.cumsum(over)
        x, y, sign, time = x[~over], y[~over], sign[~over], time[~over]
    return checked(path, sensor, x, y, sign, time)
